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

import json
import signal

import pytest

from monai_ssl.files import lock_folder
from monai_ssl.run_folder import RunFolder, recorded_settings

SETTINGS = {"max_epochs": 3, "num_workers": 0, "device": "cpu", "seed": 1, "crop_scales": [(0.9, 1.0)]}


def opened(path, **changes):
    folder = RunFolder(path, {**SETTINGS, **changes})
    folder.open()
    folder.close()


def leaves_with(path, **changes):
    with pytest.raises(SystemExit) as stop:
        opened(path, **changes)
    return stop.value.code


def test_settings_are_recorded_as_plain_values(tmp_path):
    opened(tmp_path)
    record = json.loads((tmp_path / "settings.json").read_text())
    assert record["settings"] == {**SETTINGS, "crop_scales": [[0.9, 1.0]]}
    assert record["versions"].keys() >= {"python", "torch", "monai", "monai_ssl"}


def test_the_provenance_has_what_defines_the_run_and_no_path(tmp_path):
    paths = dict.fromkeys(("dataset_dir", "labels", "probe_labels", "checkpoint"), "/people/jane")
    settings = {**SETTINGS, **paths, "num_workers": 2, "device": "cpu", "checkpoint_minutes": 5}
    provenance = RunFolder(tmp_path, settings).provenance
    assert provenance["settings"] == {"max_epochs": 3, "seed": 1, "crop_scales": [[0.9, 1.0]]}
    assert provenance["versions"].keys() >= {"python", "torch", "monai", "monai_ssl"}


def test_only_length_workers_and_device_may_change(tmp_path, caplog):
    opened(tmp_path)
    opened(tmp_path, max_epochs=9, num_workers=4, device="cuda:0")
    assert leaves_with(tmp_path, seed=2, batch_size=4) == 2
    assert "batch_size was None, now 4" in caplog.text
    assert "seed was 1, now 2" in caplog.text
    # the refusal changed nothing
    assert json.loads((tmp_path / "settings.json").read_text())["settings"]["max_epochs"] == 9


def test_a_finished_run_says_so_and_a_longer_one_goes_on(tmp_path, caplog):
    folder = RunFolder(tmp_path, SETTINGS)
    folder.open()
    folder.finish()
    folder.close()
    with caplog.at_level("INFO"):
        assert leaves_with(tmp_path) == 0
    assert "finished (3 epochs)" in caplog.text
    opened(tmp_path, max_epochs=4)


def test_a_stop_is_listened_for_while_the_folder_is_held_and_forgotten_after(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    (tmp_path / "settings.json").write_text(json.dumps({"settings": SETTINGS}))
    (tmp_path / "REQUEUE").write_text("stopped")
    folder = RunFolder(tmp_path, SETTINGS)
    folder.open()
    assert not (tmp_path / "REQUEUE").exists()
    folder.stop.waits = True
    signal.raise_signal(signal.SIGTERM)
    assert folder.stop.requested
    folder.finish()
    folder.close()
    assert signal.getsignal(signal.SIGTERM) is before
    (tmp_path / "REQUEUE").write_text("stopped")
    assert leaves_with(tmp_path) == 0
    # else a script would submit a finished run for ever
    assert not (tmp_path / "REQUEUE").exists()


def test_a_folder_in_use_or_of_something_else_is_refused(tmp_path, caplog):
    with lock_folder(tmp_path):
        assert leaves_with(tmp_path) == 2
    assert "in use by another process" in caplog.text
    (tmp_path / "thesis.docx").write_text("")
    assert leaves_with(tmp_path) == 2
    assert "thesis.docx" in caplog.text
    (tmp_path / "settings.json").write_text("{")
    assert leaves_with(tmp_path) == 2
    # a refusal does not keep the lock
    with lock_folder(tmp_path):
        pass


def test_the_remains_of_a_start_that_was_killed_do_not_keep_a_run_out(tmp_path):
    (tmp_path / ".settings.json.partial").write_text("{")
    opened(tmp_path)
    assert json.loads((tmp_path / "settings.json").read_text())["settings"]["seed"] == 1


def test_a_model_without_its_settings_is_warned_of(tmp_path, caplog):
    (tmp_path / "model.pt").write_bytes(b"")
    assert recorded_settings(tmp_path / "model.pt", {"window": None}) == {"window": None}
    assert "no settings.json beside it" in caplog.text


def test_recorded_settings_come_from_beside_the_model(tmp_path):
    opened(tmp_path)
    assert recorded_settings(tmp_path / "model.pt", {"seed": 7, "window": "lung"}) == {"seed": 1, "window": "lung"}
