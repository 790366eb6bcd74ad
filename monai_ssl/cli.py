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


"""The command line: `python -m monai_ssl COMMAND`, or `monai-ssl COMMAND`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

__all__ = ["app"]


class _OneLineErrors(TyperGroup):
    """What the user can mend ends as a line on stderr and exit code 2; anything else keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (ValueError, OSError) as error:
            for line in str(error).splitlines():
                typer.echo(f"error: {line}", err=True)
            raise typer.Exit(2) from error


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


@app.command("slice")
def slice_command(
    input_dir: Annotated[
        Path, typer.Argument(metavar="INPUT", help="Folder of DICOM and NIfTI files at any depth, or one file.")
    ],
    output_dir: Annotated[Path, typer.Argument(metavar="OUTPUT", help="New folder for the slice store.")],
    reduce: Annotated[
        str | None,
        typer.Option(help="How near-duplicate slices are dropped: all, every_n:N, dhash:T.", show_default="dhash:6"),
    ] = None,
    axis: Annotated[str | None, typer.Option(help="axial, coronal or sagittal.", show_default="axial")] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Csv of labels by patient, by series, or by series and position_mm.", metavar="CSV"),
    ] = None,
    resize: Annotated[
        int | None,
        typer.Option(help="Height and width of stored slices in pixels.", show_default="as in the source", metavar="N"),
    ] = None,
    pseudonym_key: Annotated[
        Path | None,
        typer.Option(
            help="The .pseudonym_key of another store, so that both name patients alike.", show_default="a random key"
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes.", show_default="one per CPU", metavar="N")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Dask scheduler to run on instead, tcp://host:8786.")] = None,
) -> None:
    """Turn volumes into a slice store: read, slice, drop near-duplicates, pseudonymise, join labels."""
    from monai_ssl.data import slice_volumes

    options = {
        "reduce": reduce,
        "axis": axis,
        "labels": labels,
        "resize": resize,
        "pseudonym_key": pseudonym_key,
        "workers": workers,
        "scheduler": scheduler,
    }
    store = slice_volumes(input_dir, output_dir, **_given(options))
    counts = store.settings["counts"]
    share = counts["kept"] / counts["slices"]
    typer.echo(
        f"{counts['volumes']} volumes of {counts['patients']} patients, {counts['slices']} slices, "
        f"{counts['kept']} kept ({share:.0%}), {counts['labelled']} labelled: {store.path}"
    )
    typer.echo(f"{counts['rejected']} files rejected: {store.path / 'rejected.csv'}")
    typer.echo(f"{counts['warnings']} warnings: {store.path / 'warnings.csv'}")


@app.command()
def phantoms(
    output_dir: Annotated[Path, typer.Argument(metavar="OUTPUT", help="New folder for the phantoms and labels.csv.")],
    patients: Annotated[
        int | None, typer.Option(help="How many patients, half of them with nodules.", show_default="24", metavar="N")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Another seed draws other patients.", show_default="0", metavar="N")
    ] = None,
) -> None:
    """Draw the embedded sample: CT phantoms with and without lung nodules, as DICOM and NIfTI, with labels."""
    from monai_ssl.data.phantoms import make_phantoms

    make_phantoms(output_dir, **_given({"patients": patients, "seed": seed}))
    typer.echo(f"phantoms and their labels: {output_dir}")


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN_A RUN_B [...]", help="Run folders with predictions.csv.")],
    output: Annotated[Path, typer.Option(help="Folder for report.html, comparison.csv and report.json.")],
    redraws: Annotated[int | None, typer.Option(help="Bootstrap redraws.", show_default="1000", metavar="N")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the redraws.", show_default="0", metavar="N")] = None,
    store: Annotated[Path | None, typer.Option(help="Slice store, for the contact sheet.")] = None,
    pretraining: Annotated[Path | None, typer.Option(help="Run folder of the pre-training, for its curves.")] = None,
) -> None:
    """Compare runs on the test set with paired statistics, and write a report."""
    from monai_ssl.report import compare_runs

    options = {"redraws": redraws, "seed": seed, "store": store, "pretraining": pretraining}
    report = compare_runs(runs, output, **_given(options))
    typer.echo(f"report: {report}")


def _given(options: dict[str, Any]) -> dict[str, Any]:
    # What is not given keeps the default of the function, which is the one place for it.
    return {name: value for name, value in options.items() if value is not None}
