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


"""Runs of a stand-in for the bundle: several at once, stopped, killed, failed, and taken up again."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time

import pytest
from typer.testing import CliRunner

from monai_ssl.cli import app
from monai_ssl.sweep import run_sweep, sweep_slots

FORK = multiprocessing.get_context("fork")


def when(condition, act=lambda: None, seconds=20):
    """Do something once a condition holds, beside the test."""

    def watch():
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def forked(plan, slots):
    process = FORK.Process(target=run_sweep, args=(plan, slots))
    process.start()
    return process


def waiting(bench):
    return list(bench.out.glob("*/*/waiting"))


def test_all_runs_once_each_device_one_at_a_time(bench, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    plan = bench.plan(settings={"seconds": 0.05}, folds=3)
    outcome = run_sweep(plan, sweep_slots(["cuda:0", "cuda:2"]))
    assert (outcome.failed, outcome.signal, outcome.remaining) == ({}, None, 0)
    begun = bench.events()
    assert sorted(event["output_dir"] for event in begun) == sorted(str(run.folder) for run in plan.runs)
    assert {event["fold"] for event in begun} == {0, 1, 2}
    assert {(event["CUDA_VISIBLE_DEVICES"], event["device"]) for event in begun} == {("0", "cuda:0"), ("2", "cuda:0")}
    busy = dict.fromkeys(("0", "2"), 0)
    for event in bench.events(None):
        busy[event["CUDA_VISIBLE_DEVICES"]] += 1 if event["what"] == "begin" else -1
        assert busy[event["CUDA_VISIBLE_DEVICES"]] in (0, 1)
    said = capsys.readouterr().out
    assert said.count(": started on cuda:") == 12
    assert said.count(": finished, test AUC 0.") + said.count(": finished, test AUC 1.") == 12
    # and once only
    assert run_sweep(bench.plan(settings={"seconds": 0.05}, folds=3), sweep_slots()).remaining == 0
    assert len(bench.events()) == 12
    # but a longer training goes on
    longer = bench.plan(settings={"seconds": 0.05, "max_epochs": 3}, folds=3, only="one_*0.1")
    run_sweep(longer, sweep_slots(jobs=3))
    assert len(bench.events()) == 15


def test_one_split_needs_no_folds(bench):
    run_sweep(bench.plan({"backbone": ["one"]}), sweep_slots())
    [event] = bench.events()
    assert (event["folds"], event["fold"], event["device"]) == (None, None, None)
    assert event["output_dir"] == str(bench.out / "backbone=one/run")


def test_a_failed_run_stops_no_other_and_is_tried_again(bench, capsys):
    grid = {"backbone": ["refused", "one", "fails_once", "silent", "two"]}
    outcome = run_sweep(bench.plan(grid), sweep_slots(jobs=2))
    refused = ["left with code 2", "2024-01-01 00:00:00,000 ERROR weights.pt: is of another network"]
    assert outcome.failed == {
        "backbone=refused": refused,
        "backbone=fails_once": refused,
        "backbone=silent": ["left with code 0"],
    }
    assert outcome.remaining == 3
    assert "backbone=refused: failed, left with code 2: 2024-01-01 00:00:00,000 ERROR weights.pt" in (
        capsys.readouterr().out
    )
    assert run_sweep(bench.plan(grid), sweep_slots(jobs=2)).failed.keys() == {"backbone=refused", "backbone=silent"}
    assert (bench.out / "backbone=refused/run.log").read_text().count("ERROR") == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_runs_which_save(bench, number, capsys):
    grid = {"backbone": ["waits", "one"], "learning_rate": [0.1, 0.01]}
    watcher = when(lambda: len(waiting(bench)) == 2, lambda: os.kill(os.getpid(), number))
    outcome = run_sweep(bench.plan(grid), sweep_slots(jobs=2))
    watcher.join()
    assert outcome.signal == number
    assert (outcome.remaining, outcome.failed) == (4, {})
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)
    assert len(list(bench.out.glob("*/run/REQUEUE"))) == 2
    assert len(bench.events()) == len(bench.events("end")) == 2
    assert "stopping 2 runs, which save first" in capsys.readouterr().out
    assert run_sweep(bench.plan(grid), sweep_slots(jobs=2)).remaining == 0


def test_a_second_signal_kills(bench, monkeypatch):
    grid = {"backbone": ["one"]}

    def twice():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGTERM)

    # runs that do not heed the first
    monkeypatch.setattr("subprocess.Popen.terminate", lambda process: None)
    watcher = when(lambda: list(bench.out.glob("*/run/settings.json")), twice)
    outcome = run_sweep(bench.plan(grid, settings={"seconds": 60}), sweep_slots())
    watcher.join()
    assert (outcome.signal, outcome.remaining) == (signal.SIGTERM, 1)


def test_a_killed_sweep_leaves_runs_that_the_next_waits_for(bench, capfd):
    grid = {"backbone": ["waits", "one", "two"]}
    killed = forked(bench.plan(grid), sweep_slots(["first"]))
    when(lambda: waiting(bench)).join()
    killed.kill()
    killed.join()
    left = bench.events()[0]["process"]

    def release():
        assert [event["output_dir"] for event in bench.events()].count(str(bench.out / "backbone=waits/run")) == 1
        os.kill(left, signal.SIGTERM)

    # the second slot is free, the first one is still taken
    ended = bench.out / "backbone=two/run/predictions.csv"
    watcher = when(ended.is_file, release)
    outcome = run_sweep(bench.plan(grid), sweep_slots(["first", "second"]))
    watcher.join()
    assert outcome.remaining == 0
    events = bench.events()
    assert [event["device"] for event in events[:3]] == ["first", "second", "second"]
    # what was left behind saved, and went on afterwards
    assert events[3]["output_dir"] == events[0]["output_dir"]
    assert len(events) == 4
    assert f"still runs (process {left}, of an earlier sweep); waiting for it" in capfd.readouterr().out


def test_a_signal_while_waiting_leaves_the_earlier_run_alone(bench, capfd):
    grid = {"backbone": ["waits"]}
    killed = forked(bench.plan(grid), sweep_slots())
    when(lambda: waiting(bench)).join()
    killed.kill()
    killed.join()
    watcher = when(lambda: not time.sleep(0.2), lambda: os.kill(os.getpid(), signal.SIGTERM))
    outcome = run_sweep(bench.plan(grid), sweep_slots())
    watcher.join()
    assert (outcome.signal, outcome.remaining) == (signal.SIGTERM, 1)
    assert "was started by an earlier sweep and runs on" in capfd.readouterr().out
    process = bench.events()[0]["process"]
    os.kill(process, signal.SIGTERM)
    when(lambda: bench.events("end")).join()
    assert len(bench.events("end")) == 1


def test_one_sweep_at_a_time_in_a_folder(bench):
    grid = {"backbone": ["waits"]}
    first = forked(bench.plan(grid), sweep_slots())
    when(lambda: waiting(bench)).join()
    with pytest.raises(ValueError, match="in use by another process"):
        run_sweep(bench.plan(grid), sweep_slots())
    os.kill(first.pid, signal.SIGTERM)
    first.join(20)
    assert first.exitcode == 0


def sweep(bench, *words):
    return CliRunner().invoke(app, ["sweep", str(bench.root / "sweep.json"), "--output", str(bench.out), *words])


def test_the_command(bench, monkeypatch):
    monkeypatch.chdir(bench.root)
    weights = bench.root / "weights"
    weights.mkdir()
    (weights / "a.pt").touch()
    network = {
        "a": {"backbone": "a", "checkpoint": "a.pt"},
        "b": {"backbone": "b", "checkpoint": "b.pt"},
        "refused": {"backbone": "refused", "checkpoint": "a.pt"},
    }
    bench.write({"network": network, "learning_rate": [0.1, 0.01]})
    words = ("--weights", "weights", "--folds", "3", "--redraws", "50", "--dataset_dir", "data", "--seconds=0")
    mistyped = sweep(bench, *words, "--job", "3")
    assert mistyped.exit_code == 2
    assert "error: --job: no such setting in train.json" in mistyped.stderr
    done = sweep(bench, *words, "--jobs", "2")
    assert done.exit_code == 1, done.output
    assert "6 scenarios, 3 folds, by patient: 18 runs, of which 0 are finished and 12 are to be done" in done.stdout
    assert "not run: b.pt is not in weights: b_learning_rate=0.1, b_learning_rate=0.01" in done.stdout
    assert "(by patient), of 2 of 6 scenarios, 3 folds each" in done.stdout
    assert done.stderr.count("failed: refused_") == 6
    assert "ERROR weights.pt: is of another network" in done.stderr
    totals = json.loads((bench.out / "summary.json").read_text())
    assert totals["missing"].keys() == {
        f"{name}_learning_rate={rate}" for name in ("b", "refused") for rate in (0.1, 0.01)
    }
    assert totals["missing"]["b_learning_rate=0.1"] == "b.pt is not in weights"
    assert totals["missing"]["refused_learning_rate=0.1"].startswith("failed: left with code 2 | 2024")
    assert (bench.out / "scenarios.png").read_bytes().startswith(b"\x89PNG")
    (weights / "b.pt").touch()
    begun = len(bench.events())
    again = sweep(bench, *words, "--only", "b_*")
    assert again.exit_code == 0, again.output
    assert len(bench.events()) == begun + 6
    assert "of 4 of 6 scenarios" in again.stdout


def test_a_stopped_command_says_how_to_go_on(bench):
    bench.write({"backbone": ["waits"]})
    watcher = when(lambda: waiting(bench), lambda: os.kill(os.getpid(), signal.SIGTERM))
    stopped = sweep(bench, "--dataset_dir", str(bench.root / "data"))
    watcher.join()
    assert stopped.exit_code == 75
    assert "stopped, not finished: 1 runs; the same command goes on" in stopped.stderr
