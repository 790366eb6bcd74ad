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

import numpy as np
import pandas as pd
import torch
from ignite.engine import Engine

from monai_ssl.handlers import EmbeddingSaver, PredictionSaver

ITEMS = [
    {"id": f"s{number:02d}", "patient": f"{number // 2:03d}", "split": "test", "label": torch.tensor([number % 2, 1.0])}
    for number in (3, 1, 2, 0)
]
PREDS = [torch.tensor([0.1 * number, 1 / 3]) for number in (3, 1, 2, 0)]


def evaluate(saver):
    def step(engine, batch):
        engine.state.batch = [ITEMS[i] for i in batch]
        return [{"pred": PREDS[i]} for i in batch]

    engine = Engine(step)
    saver.attach(engine)
    engine.run([(0, 1), (2, 3)])
    engine.run([(0, 1), (2, 3)])


def test_predictions_are_one_row_per_image_sorted(tmp_path):
    evaluate(PredictionSaver(tmp_path / "predictions.csv", ["a", "b"]))
    table = pd.read_csv(tmp_path / "predictions.csv", dtype={"patient": str})
    assert table.columns.tolist() == ["image", "patient", "split", "a_true", "a_score", "b_true", "b_score"]
    assert table["image"].tolist() == ["s00", "s01", "s02", "s03"]
    assert table["patient"].tolist() == ["000", "000", "001", "001"]
    assert table["a_true"].tolist() == [0, 1, 0, 1]
    # written to the last bit of float32
    np.testing.assert_array_equal(table["a_score"].astype(np.float32), np.float32([0.0, 0.1, 0.2, 0.3]) + 0)
    np.testing.assert_array_equal(table["b_score"].astype(np.float32), np.float32(1 / 3))


def test_unlabelled_predictions_have_scores_only(tmp_path):
    evaluate(PredictionSaver(tmp_path / "predictions.csv", ["a", "b"], labelled=False))
    assert pd.read_csv(tmp_path / "predictions.csv").columns.tolist()[3:] == ["a_score", "b_score"]


def test_an_unknown_label_is_an_empty_cell(tmp_path, monkeypatch):
    monkeypatch.setitem(ITEMS[0], "label", torch.tensor([float("nan"), 1.0]))
    evaluate(PredictionSaver(tmp_path / "predictions.csv", ["a", "b"]))
    cells = pd.read_csv(tmp_path / "predictions.csv", dtype=str, keep_default_na=False)
    assert cells["a_true"].tolist() == ["0", "1", "0", ""]
    assert cells["b_true"].tolist() == ["1", "1", "1", "1"]


def test_thresholds_decide(tmp_path):
    thresholds = {"a": float(np.float32(0.2)), "b": float("nan")}
    evaluate(PredictionSaver(tmp_path / "predictions.csv", ["a", "b"], labelled=False, thresholds=thresholds))
    cells = pd.read_csv(tmp_path / "predictions.csv", dtype=str, keep_default_na=False)
    assert cells.columns.tolist()[3:] == ["a_score", "b_score", "a_positive", "b_positive"]
    assert cells["a_positive"].tolist() == ["0", "0", "1", "1"]
    assert cells["b_positive"].tolist() == [""] * 4
    evaluate(PredictionSaver(tmp_path / "classes.csv", ["a", "b"], False, {}, "multiclass"))
    assert pd.read_csv(tmp_path / "classes.csv")["class"].tolist() == ["b", "b", "b", "b"]
    evaluate(PredictionSaver(tmp_path / "none.csv", ["a", "b"], False, {}))
    assert pd.read_csv(tmp_path / "none.csv").columns.tolist()[3:] == ["a_score", "b_score"]


def test_embeddings_keep_their_slice(tmp_path):
    evaluate(EmbeddingSaver(tmp_path / "embeddings.npz"))
    with np.load(tmp_path / "embeddings.npz", allow_pickle=False) as content:
        assert content["slice"].tolist() == ["s00", "s01", "s02", "s03"]
        np.testing.assert_array_equal(content["embedding"], torch.stack([PREDS[i] for i in (3, 1, 2, 0)]).numpy())
