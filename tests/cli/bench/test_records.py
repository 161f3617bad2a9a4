# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from tests.bench.samples import record
from ubypass.bench.records import write_records
from ubypass.cli.bench.records import add_places, read_places
from ubypass.errors import UbError


def parsed(*words: Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_places(parser)
    return parser.parse_args([str(word) for word in words])


def test_what_is_skipped_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_records(tmp_path / "io.json", [record()])
    found = read_places(parsed(tmp_path, tmp_path / "none.json"))
    assert [batch.path.name for batch in found.batches] == ["io.json"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ub: cannot read ")
    assert "; write it with --json" in line


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(UbError, match="there are no records") as error:
        read_places(parsed(tmp_path))
    assert "ub bench io --json" in error.value.hint
