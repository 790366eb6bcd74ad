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

import hashlib
import hmac
import os
import re
import stat

import pytest

from monai_ssl.data.pseudonyms import KEY_FILE, Pseudonyms, load_key


def test_is_the_keyed_hash_of_kind_and_name():
    expected = hmac.new(b"key", b"patient\0Jos\xc3\xa9 007", hashlib.sha256).hexdigest()[:16]
    assert Pseudonyms(b"key")("patient", "José 007") == expected
    assert Pseudonyms(b"key")("volume", "José 007") != expected
    assert Pseudonyms(b"other")("patient", "José 007") != expected


def test_any_name_has_a_pseudonym_of_its_own():
    names = [
        "",
        "../../etc/passwd",
        "=cmd|' /C calc'!A0",
        "x" * 300,
        "\udcff.nii",
        "\ud800",
        "a\0b",
        "007",
        "7",
        "患者",
    ]
    given = [Pseudonyms(b"key")("patient", name) for name in names]
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in given)
    assert len(set(given)) == len(names)


def test_key_is_private_from_the_start(tmp_path):
    (tmp_path / "..pseudonym_key.partial").write_text("left by a killed run, open to all")
    load_key(tmp_path, None)
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == [KEY_FILE]


def test_key_is_kept_and_another_is_refused(tmp_path):
    random = load_key(tmp_path, None)
    assert load_key(tmp_path, None) == load_key(tmp_path, tmp_path / KEY_FILE) == random
    with pytest.raises(ValueError, match="another key"):
        load_key(tmp_path, "text")


@pytest.mark.parametrize("content", ["", "not hex\n"])
def test_file_that_is_no_key_is_refused(tmp_path, content):
    (tmp_path / "key").write_text(content)
    with pytest.raises(ValueError, match="pseudonym key"):
        load_key(tmp_path / "store", tmp_path / "key")


def test_empty_key_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must not be empty"):
        load_key(tmp_path, "")
