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


from __future__ import annotations

import io
import logging
import re
import time

import pytest
import torch
from ignite.engine import Engine
from tqdm import tqdm

from monai_ssl.handlers import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(steps=6, wait=0.03, work=0.01, loss=True):
    def data():
        while True:
            time.sleep(wait)
            yield {"image": [torch.zeros(8, 1, 2, 2), torch.zeros(8, 1, 1, 1)], "id": ["a"] * 8}

    def step(engine, batch):
        time.sleep(work)
        return {"loss": torch.tensor(0.25)} if loss else {"pred": 0}

    engine = Engine(step)
    progress.RunProgress("training").attach(engine)
    engine.run(data(), max_epochs=2, epoch_length=steps)


def test_the_log_tells_speed_and_waiting(caplog):
    with caplog.at_level(logging.INFO):
        run()
    said = [record.getMessage() for record in caplog.records if record.name == progress.__name__]
    assert len(said) == 2
    found = re.fullmatch(r"epoch 1/2: ([\d.e+]+) images/s, (\d+)% waiting for data, 00:00 left", said[0])
    assert found, said
    # 8 images in at least 40 ms, of which three quarters are waiting; sleeping may take longer on a busy machine
    assert 20 < float(found[1]) <= 200
    assert 50 < int(found[2]) < 95


def test_without_a_loss_there_is_no_line(caplog):
    with caplog.at_level(logging.INFO):
        run(steps=2, wait=0, work=0, loss=False)
    assert progress.__name__ not in {record.name for record in caplog.records}


@pytest.fixture
def terminal(monkeypatch):
    stream = Terminal()

    class Bar(tqdm):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options, file=stream, mininterval=0, ncols=200)

    monkeypatch.setattr(progress, "tqdm", Bar)
    return stream


def test_a_terminal_shows_epoch_speed_and_loss(terminal):
    run(steps=3)
    assert re.search(
        r"training: +\d+%.*\| 4/6 .*epoch 2/2, 00:00 left of it, [\d.e+]+ images/s, \d+% waiting for data, loss 0.250",
        terminal.getvalue(),
    )


def test_a_log_line_stands_above_the_bar(terminal, monkeypatch):
    monkeypatch.setattr("sys.stderr", terminal)
    handler = logging.StreamHandler(terminal)
    handler.setFormatter(logging.Formatter("%(message)s"))
    root, level = logging.getLogger(), logging.getLogger().level
    monkeypatch.setattr(root, "handlers", [handler])
    root.setLevel(logging.INFO)
    try:
        run(steps=2)
    finally:
        root.setLevel(level)
    assert root.handlers == [handler]
    # each on a line of its own: the bar is wiped first
    assert re.search(r"\r +\repoch 1/2: [^\r]+ left\n", terminal.getvalue())
