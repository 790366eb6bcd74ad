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

"""`python -m monai_ssl sweep`."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from monai_ssl.cli.application import given

# What follows the options of the command is handed on to each run, as `python -m monai.bundle run` takes it.
RUN_SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}


def sweep_command(
    context: typer.Context,
    sweep: Annotated[Path, typer.Argument(metavar="SWEEP.json", help="The scenarios; first, before all options.")],
    output: Annotated[Path, typer.Option(help="Folder of all runs.")],
    weights: Annotated[Path | None, typer.Option(help="Folder of the weight files that scenarios start from.")] = None,
    folds: Annotated[
        int | None, typer.Option(help="Cross-validate, by patient.", show_default="one split", metavar="K")
    ] = None,
    devices: Annotated[
        str | None, typer.Option(help="A run at a time on each, such as cuda:0,cuda:1.", show_default="the bundle's")
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Runs at once on the processor.", metavar="N")] = None,
    only: Annotated[str | None, typer.Option(help="Scenarios to run, such as 'resnet50_*'.", metavar="GLOB")] = None,
    redraws: Annotated[int | None, typer.Option(help="Bootstrap redraws.", show_default="1000", metavar="N")] = None,
) -> None:
    """Run the scenarios of a file, several at once, and sum them up; the same command goes on.

    Any other --NAME VALUE is a setting of every run, such as --dataset_dir, --labels, --label_names, --image_size.
    """
    from monai_ssl.sweep import plan_sweep, run_sweep, summarise_sweep, sweep_slots

    slots = sweep_slots(devices.split(",") if devices else (), jobs)
    settings = run_settings(context.args)
    plan = plan_sweep(sweep, output, settings, weights=weights, folds=folds, only=only)
    for line in plan.lines():
        typer.echo(line)
    outcome = run_sweep(plan, slots)
    if outcome.signal is not None:
        typer.echo(f"stopped, not finished: {outcome.remaining} runs; the same command goes on", err=True)
        raise typer.Exit(130 if outcome.signal == signal.SIGINT else 75)
    reasons: dict[str, str] = {}
    for run in plan.runs:
        if str(run) in outcome.failed:
            reasons[run.scenario] = f"failed: {' | '.join(outcome.failed[str(run)])}"
    summary = summarise_sweep(plan, reasons, **given(redraws=redraws))
    _tell(summary.totals)
    typer.echo(f"summary: {', '.join(str(file) for file in summary.write(plan.output))}")
    for name, lines in outcome.failed.items():
        typer.echo("\n  ".join([f"failed: {name}", *lines]), err=True)
    if outcome.failed:
        typer.echo("the same command tries the failed runs again", err=True)
        raise typer.Exit(1)


def run_settings(words: Sequence[str]) -> dict[str, Any]:
    """
    The settings of `--name value` pairs, values read as `python -m monai.bundle run` reads them.

    Args:
        words: of the command line.

    Raises:
        ValueError: naming each word that is no such pair.

    Example:
        >>> run_settings(["--label_names", "['Mass','Nodule']", "--image_size=64"])
        {'label_names': ['Mass', 'Nodule'], 'image_size': 64}
    """
    from fire.parser import DefaultParseValue

    settings, problems, rest = {}, [], list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name:
            problems.append(f"{word}: is no option; settings of the runs are written --name value")
        elif equals or (rest and not rest[0].startswith("--")):
            settings[name.replace("-", "_")] = DefaultParseValue(value if equals else rest.pop(0))
        else:
            problems.append(f"{word}: has no value; write {word} VALUE")
    if problems:
        raise ValueError("\n".join(problems))
    return settings


def _tell(totals: dict[str, Any]) -> None:
    each = "one split each" if totals["folds"] == 1 else f"{totals['folds']} folds each"
    counted = f"{totals['scenarios']} of {totals['of_scenarios']} scenarios, {each}"
    if totals["auc"] is None:
        typer.echo(f"no mean AUC: complete are {counted}")
        return
    sd = "" if totals["sd_over_scenarios"] is None else f" +- {totals['sd_over_scenarios']:.3f} (SD over scenarios)"
    interval = "no interval" if totals["low"] is None else f"95 % interval {totals['low']:.3f} to {totals['high']:.3f}"
    typer.echo(f"mean test AUC {totals['auc']:.3f}{sd}, {interval} (by {totals['unit']}), of {counted}")
