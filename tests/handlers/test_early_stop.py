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

import pytest
from ignite.engine import Engine, Events

from monai_ssl.handlers import EarlyStop


class _Evaluator:
    """What `EarlyStop` looks at of MONAI's evaluator."""

    def __init__(self, scores):
        self.scores, self.state = scores, type("State", (), {"best_metric": -1.0, "best_metric_epoch": -1})()

    def validate(self, engine):
        score = self.scores[engine.state.epoch - 1]
        if score > self.state.best_metric:
            self.state.best_metric, self.state.best_metric_epoch = score, engine.state.epoch


def epochs_run(scores, patience, epochs, done=0):
    """The epochs that a trainer with these validation scores runs, going on after `done` of them."""
    evaluator, seen = _Evaluator(scores), []
    trainer = Engine(lambda engine, batch: seen.append(engine.state.epoch))
    for epoch in range(1, done + 1):
        evaluator.validate(type("E", (), {"state": type("S", (), {"epoch": epoch})()})())
    trainer.add_event_handler(Events.EPOCH_COMPLETED, evaluator.validate)
    EarlyStop(evaluator, patience).attach(trainer)
    if done:
        trainer.load_state_dict({"epoch_length": 2, "max_epochs": epochs, "epoch": done})
    trainer.run(range(2), max_epochs=epochs)
    return sorted(set(seen))


def expected(scores, patience, epochs):
    for epoch in range(1, epochs + 1):
        best = max(range(epoch), key=lambda at: (scores[at], -at)) + 1
        if patience is not None and epoch - best >= patience:
            return list(range(1, epoch + 1))
    return list(range(1, epochs + 1))


SCORES = [
    [0.5, 0.6, 0.6, 0.7, 0.6, 0.65, 0.7, 0.8],
    [0.5, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1],
    [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
]


@pytest.mark.parametrize("scores", SCORES)
@pytest.mark.parametrize("patience", [None, 1, 2, 3])
def test_it_ends_where_a_plain_loop_would_also_when_the_run_goes_on_from_any_epoch(scores, patience):
    run = expected(scores, patience, len(scores))
    assert epochs_run(scores, patience, len(scores)) == run
    for done in range(1, len(run) + 1):
        if done < len(scores):  # a run that is at its last epoch has nothing to go on with
            assert epochs_run(scores, patience, len(scores), done) == run[done:]


def test_epochs_without_validation_are_not_judged():
    evaluator, seen = _Evaluator([0.5] * 8), []
    trainer = Engine(lambda engine, batch: seen.append(engine.state.epoch))
    trainer.add_event_handler(Events.EPOCH_COMPLETED(every=3), evaluator.validate)
    EarlyStop(evaluator, patience=3, interval=3).attach(trainer)
    trainer.run(range(1), max_epochs=8)
    assert seen == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(("patience", "interval", "least"), [(0, 1, 1), (2, 3, 3)])
def test_too_little_patience_is_refused(patience, interval, least):
    with pytest.raises(ValueError, match=f"at least {least}, or None, got {patience}"):
        EarlyStop(_Evaluator([]), patience, interval)
