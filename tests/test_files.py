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
import subprocess
import sys

import pandas as pd
import pytest

from monai_ssl.files import atomic_path, file_checksum, lock_folder, read_table, write_json, write_table


def _fill_the_disk(path):
    with atomic_path(path) as partial:
        partial.write_text("half")
        raise OSError(28, "No space left on device")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "100% sure" / "table.csv"
    with atomic_path(path) as partial:
        partial.write_text("old")
    with pytest.raises(OSError, match="No space left"):
        _fill_the_disk(path)
    assert path.read_text() == "old"
    assert [entry.name for entry in path.parent.iterdir()] == ["table.csv"]


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "table.csv"
    with atomic_path(path, shared=True) as slow:
        slow.write_text("slow")
        with atomic_path(path, shared=True) as fast:
            fast.write_text("fast")
        assert path.read_text() == "fast"
    assert path.read_text() == "slow"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


def test_table_round_trip_keeps_text_to_the_letter(tmp_path):
    names = ["007", "NA", "1e5", "nan", "", 'Müller, "A"', "true"]
    table = pd.DataFrame({"patient": names, "value": [0.1 + 0.2, 1e-300, float("nan"), 3, -4, 5.5, 1 / 3]})
    write_table(tmp_path / "t.csv", table)
    back = read_table(tmp_path / "t.csv", text=["patient"])
    assert back["patient"].tolist() == names
    pd.testing.assert_series_equal(back["value"], table["value"], check_exact=True)


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-2", "@SUM(A1)", "\tx", "\rx"])
def test_no_text_cell_is_a_formula(tmp_path, cell):
    write_table(tmp_path / "t.csv", pd.DataFrame({"id": [cell], "value": [-1.5]}))
    back = read_table(tmp_path / "t.csv", text=["id"])
    assert back.loc[0, "id"].startswith("'")
    assert back.loc[0, "value"] == -1.5


def test_read_table_names_a_file_that_is_no_table(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ValueError, match=r"empty\.csv: not a CSV table"):
        read_table(tmp_path / "empty.csv")
    (tmp_path / "binary.csv").write_bytes(bytes(range(128, 256)))
    with pytest.raises(ValueError, match=r"binary\.csv: not a CSV table"):
        read_table(tmp_path / "binary.csv")


def test_two_columns_of_one_name_are_refused(tmp_path):
    (tmp_path / "t.csv").write_text("a,b,a\n1,2,3\n")
    with pytest.raises(ValueError, match=r"t\.csv: two columns are called 'a'"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_other_separators_are_refused(tmp_path, separator, name):
    (tmp_path / "t.csv").write_text(f"\ufeffid{separator}value\na{separator}0,5\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"t\.csv: has {name} between its cells; write it with commas"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(("rows", "last"), [("a,1,0\n", "0"), ("a,1,\nb,1,\n", ""), ("a,1,x,y\nb,0,x,z\n", "y")])
def test_more_fields_than_the_header_has_are_refused(tmp_path, rows, last):
    (tmp_path / "t.csv").write_text("id,value\n" + rows)
    fields = rows.splitlines()[0].count(",") + 1
    with pytest.raises(
        ValueError, match=rf"t\.csv: the rows have {fields} fields, the header 2: .* ends with '{last}'"
    ):
        read_table(tmp_path / "t.csv", text=["id"])
    (tmp_path / "t.csv").write_text("id,value\n")
    assert read_table(tmp_path / "t.csv").empty


def test_json_refuses_what_json_cannot_say(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"auc": float("nan")})
    assert not list(tmp_path.iterdir())


def test_checksum_is_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"abc" * 1000)
    assert file_checksum(tmp_path / "x") == hashlib.sha256(b"abc" * 1000).hexdigest()


def test_a_locked_folder_is_refused_and_a_killed_holder_frees_it(tmp_path):
    code = (
        "import sys, time; from monai_ssl.files import lock_folder\n"
        "with lock_folder(sys.argv[1]): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match="in use by another process"), lock_folder(tmp_path):
            pass
        holder.kill()
    with lock_folder(tmp_path):
        assert (tmp_path / ".lock").exists()
