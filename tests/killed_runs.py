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

"""Bundles trained in processes of their own, which end themselves at a chosen moment."""

from __future__ import annotations

import io
import itertools
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import torch

BUNDLES = Path(__file__).resolve().parents[1] / "bundles"
# The server imports once what each run needs; a command line would import for seconds, each time.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["monai.bundle", "monai.handlers", "monai_ssl.preflight", "monai_ssl.handlers", "monai_ssl.metrics", "timm.optim"]
)


def start(bundle, settings, prepare=None, rank=None, configs=("train",)):
    """
    A process that trains, and writes what it says to `<output_dir>.log`.

    Args:
        bundle: its name.
        settings: overrides, `output_dir` among them.
        prepare: called in the process first, with the folder.
        rank: (rank, world_size, port) of several, as torchrun tells them.
        configs: the configuration files.
    """
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in settings.items()}
    process = CONTEXT.Process(target=_train, args=(bundle, settings, prepare, rank, configs))
    process.start()
    return process


def ended(*processes, timeout=60):
    """The processes' exit codes; negative for a signal."""
    for process in processes:
        process.join(timeout)
        if process.is_alive():
            process.kill()
    return [process.exitcode for process in processes]


def kill(pid):
    """As a machine that is gone."""
    os.kill(pid, signal.SIGKILL)


def terminate(pid):
    """As a scheduler: SIGTERM to the process and all that it started."""
    for process in (*multiprocessing.active_children(), multiprocessing.current_process()):
        os.kill(process.pid, signal.SIGTERM)


def kill_worker(pid):
    """As a system out of memory."""
    os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)


class Ticks:
    """
    Number the moments of a run: events of engines, files of the run folder that are opened, renamed or removed, and the
    middle of each checkpoint that is written. At a given moment, do something.
    """

    def __init__(self, at=0, act=kill):
        self.at, self.act = at, act
        self.total = CONTEXT.Value("q", 0)

    def __call__(self, folder):
        from ignite.engine import Engine

        numbers, process, fire, save = itertools.count(1), os.getpid(), Engine._fire_event, torch.save

        def tick():
            if os.getpid() == process:
                self.total.value = next(numbers)
                if self.total.value == self.at:
                    self.act(process)

        def audit(event, arguments):
            if event in ("open", "os.rename", "os.remove") and str(arguments[0]).startswith(folder):
                tick()

        def fire_and_tick(*arguments, **keywords):
            tick()
            fire(*arguments, **keywords)
            tick()

        def save_in_halves(content, path):
            save(content, stream := io.BytesIO())
            data = stream.getvalue()
            with open(path, "wb") as file:
                file.write(data[: len(data) // 2])
                file.flush()
                tick()
                file.write(data[len(data) // 2 :])

        sys.addaudithook(audit)
        Engine._fire_event, torch.save = fire_and_tick, save_in_halves


class AtIteration:
    """Do something when an iteration of training begins."""

    def __init__(self, iteration, act):
        self.iteration, self.act = iteration, act

    def __call__(self, folder):
        from monai.engines import SupervisedTrainer

        step = SupervisedTrainer._iteration

        def step_and_act(trainer, engine, batch):
            if engine.state.iteration == self.iteration:
                self.act(os.getpid())
            return step(trainer, engine, batch)

        SupervisedTrainer._iteration = step_and_act


def stop_while_predicting(folder):
    """SIGTERM after training, in the first batch that is predicted."""
    from monai_ssl.handlers import PredictionSaver

    PredictionSaver._collect = lambda saver, engine: terminate(os.getpid())


def _train(bundle, settings, prepare, rank, configs):
    from monai.bundle import ConfigWorkflow

    multiprocessing.set_start_method("fork", force=True)  # of loaders, as on a command line
    torch.set_num_threads(1)
    with open(f"{settings['output_dir']}.log", "w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    if rank is not None:
        names = ("RANK", "WORLD_SIZE", "MASTER_PORT", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR")
        os.environ.update(zip(names, (*map(str, rank), str(rank[0]), str(rank[1]), "127.0.0.1"), strict=True))
    if prepare is not None:
        prepare(settings["output_dir"])
    root = BUNDLES / bundle
    files = [str(root / "configs" / f"{name}.json") for name in configs]
    common = {"workflow_type": "train", "logging_file": str(root / "configs/logging.conf"), "bundle_root": str(root)}
    flow = ConfigWorkflow(files, **common, **settings)
    flow.initialize()
    try:
        flow.run()
    finally:
        flow.finalize()
