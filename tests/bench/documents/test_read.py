# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.bench.documents.samples import chain, gap
from tests.bench.samples import record
from tests.bench.server.samples import server_record
from tests.bench.test_functions import timing
from ubypass.bench import functions
from ubypass.bench.chains.decisions import as_json
from ubypass.bench.documents.read import read_all, read_batch
from ubypass.bench.records import write_json, write_records
from ubypass.bench.replay import Replayed, write_replayed
from ubypass.bench.server.gaps import write_gaps
from ubypass.bench.server.record import write_server_records
from ubypass.errors import UbError


def _written(folder: Path) -> None:
    """A file of each kind."""
    write_records(folder / "io.json", [record()])
    write_server_records(folder / "redis.json", [server_record()])
    one = chain()
    write_json(folder / "chains.json", [as_json(one.figures, one.decisions)])
    write_gaps(folder / "gaps.json", [gap()])
    write_replayed(folder / "replay.json", [Replayed("a", 1, 0, 9, 0.1, 0.1, "cpu")])
    functions.write(folder / "functions.json", [timing()])


def test_each_kind_is_recognized(tmp_path: Path) -> None:
    _written(tmp_path)
    found = read_all([tmp_path])
    assert found.errors == ()
    assert [(b.path.stem, b.kind.command.split()[-1]) for b in found.batches] == [
        ("chains", "chains"),
        ("functions", "functions"),
        ("gaps", "gaps"),
        ("io", "io"),
        ("redis", "server"),
        ("replay", "replay"),
    ]
    assert found.batches[3].text == (tmp_path / "io.json").read_text()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[NaN]", "NaN is no number"),
        ("[1e999]", "1e999 is no number"),
        ("[]", "contains no records"),
        ("3", "contains no records of 'ub bench'"),
        ("[1]", "contains no records of 'ub bench'"),
        ("{}", "contains no records of 'ub bench'"),
        ('[{"server": 1}]', "contains no records of 'ub bench'"),
        ('[{"workload": "x", "bypass_rate": 1}]', "no 'kernel'"),
        ('{"functions": 3, "geomean": 1}', "this version of ub cannot read"),
        ('[{"replayed": "x", "builds": 1}]', "this version of ub cannot read"),
    ],
)
def test_a_line_for_what_is_no_record(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "f.json"
    file.write_text(content)
    with pytest.raises(UbError, match=r"f\.json (is|contains) ") as error:
        read_batch(file)
    assert words in error.value.message
    assert "\n" not in error.value.message


@pytest.mark.parametrize("key", ["native", "boosted", "bypass_rate"])
@pytest.mark.parametrize("value", ["x", None, {}, "0"])
def test_values_of_another_type(tmp_path: Path, key: str, value: object) -> None:
    file = tmp_path / "f.json"
    write_json(file, [{**record().as_json(), key: value}])
    with pytest.raises(UbError, match="ub bench io' that this version"):
        read_batch(file)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("kernel", []), ("cpu", None), ("accelerator", 3), ("unit", {})),
        *(("page_table_isolation", "yes"), ("erms", 1), ("mitigations", [1])),
    ],
)
def test_a_machine_of_another_type(tmp_path: Path, key: str, value: object) -> None:
    file = tmp_path / "f.json"
    write_json(file, [{**record().as_json(), key: value}])
    with pytest.raises(UbError, match=f"cannot read .*{key}") as error:
        read_batch(file)
    assert "\n" not in error.value.message


@pytest.mark.parametrize(
    ("key", "value"), [("case", None), ("first_boost_s", "x"), ("boosted", 3)]
)
def test_a_server_of_another_type(tmp_path: Path, key: str, value: object) -> None:
    file = tmp_path / "f.json"
    write_json(file, [{**server_record().as_json(), key: value}])
    with pytest.raises(UbError, match="ub bench server' that this version"):
        read_batch(file)


def test_a_record_of_an_older_version(tmp_path: Path) -> None:
    data = record().as_json()
    del data["handler"]
    write_json(tmp_path / "f", [data])
    with pytest.raises(UbError, match="no 'handler'") as error:
        read_batch(tmp_path / "f")
    assert "measure again" in error.value.hint


def test_a_record_of_a_later_version(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text(json.dumps([{**record().as_json(), "record_version": 2}]))
    with pytest.raises(UbError, match="records of version 2, not 1") as error:
        read_batch(file)
    assert "use the version of ub that wrote them" in error.value.hint


def test_keys_of_a_newer_version_do_no_harm(tmp_path: Path) -> None:
    _written(tmp_path)
    for file in tmp_path.iterdir():
        data = json.loads(file.read_text())
        for item in data["functions"] if isinstance(data, dict) else data:
            item["colour"] = "red"
        file.write_text(json.dumps(data))
    assert read_all([tmp_path]).errors == ()


def test_others_are_shown_all_the_same(tmp_path: Path) -> None:
    _written(tmp_path)
    (tmp_path / "a.json").write_text('{"some": "thing"}')
    (tmp_path / "notes.txt").write_text("no JSON, and not asked for")
    found = read_all([tmp_path])
    assert len(found.batches) == 6
    assert [error.message for error in found.errors] == [
        f"{tmp_path}/a.json contains no records of 'ub bench'"
    ]
    assert not found.named


def test_a_file_that_was_named_counts(tmp_path: Path) -> None:
    _written(tmp_path)
    found = read_all([tmp_path / "io.json", tmp_path / "none.json"])
    assert len(found.batches) == 1
    assert "cannot read" in found.errors[0].message
    assert "ub bench --help" in found.errors[0].hint
    assert found.named


def test_each_file_once(tmp_path: Path) -> None:
    write_records(tmp_path / "io.json", [record()])
    os.symlink("io.json", tmp_path / "again.json")
    assert len(read_all([tmp_path, tmp_path / "io.json"]).batches) == 1


def test_an_empty_directory(tmp_path: Path) -> None:
    found = read_all([tmp_path])
    assert found.batches == ()
    assert "there are no *.json files" in found.errors[0].message


def test_no_fifo_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    assert "a FIFO" in read_all([tmp_path]).errors[0].message
