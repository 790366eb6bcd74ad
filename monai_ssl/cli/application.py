# Copyright (c) monai_ssl contributors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""What all commands share: how they end, and that defaults stay with the functions."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

import typer
from typer.core import TyperGroup

__all__ = ["app", "given"]

_RESUMABLE = {"slice", "export", "sweep"}
_INTERRUPTED = 130  # what shells give for a process that SIGINT ended


class _OneLineErrors(TyperGroup):
    """What the user can mend ends as a line on stderr and exit code 2; anything else keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _tell
                return super().invoke(ctx)
        except BrokenPipeError as error:
            # Whoever read has gone, as `head` does; at exit Python would try to write the rest.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from error
        except (ValueError, OSError) as error:
            for line in str(error).splitlines():
                typer.echo(f"error: {line}", err=True)
            raise typer.Exit(2) from error
        except KeyboardInterrupt as error:
            goes_on = "; the same command goes on" if ctx.invoked_subcommand in _RESUMABLE else ""
            typer.echo(str(error) or f"stopped{goes_on}", err=True)
            raise typer.Exit(_INTERRUPTED) from error


def _tell(message: Warning | str, *_: Any) -> None:
    typer.echo(f"warning: {message}", err=True)


app = typer.Typer(
    cls=_OneLineErrors,
    help="Self-supervised pre-training on unlabelled medical volumes, and honest statistics on what it buys.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _main() -> None:
    pass


def given(**options: Any) -> dict[str, Any]:
    """The options that were given. What is not keeps the default of the function, which is the one place for it."""
    return {name: value for name, value in options.items() if value is not None}
