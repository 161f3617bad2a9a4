# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.bench.samples import ICOUNT
from tests.bench.server.samples import beside, runs, server_record
from ubypass.bench.server.beside import Beside
from ubypass.bench.server.record import read_server_records, write_server_records


def test_figures() -> None:
    rival = beside(runs=runs(300, 100, 200))
    assert rival.cost == 200
    assert rival.rate == 1e9 / 400
    assert rival.name == "GET 64, F-Stack"
    none = beside(runs=(), not_run="why")
    assert (none.cost, none.rate) == (None, None)
    assert (none.version, none.note) == ("", "")


def test_as_json_beside_records(tmp_path: Path) -> None:
    data: dict[str, Any] = beside(runs=runs(100)).as_json()
    assert data["cost"] == 100
    assert data["unit"] == ICOUNT.unit
    assert data["kernel"] == ICOUNT.kernel
    write_server_records(tmp_path / "r", [server_record()], [data])
    assert '"rival": "F-Stack"' in (tmp_path / "r").read_text()
    assert read_server_records(tmp_path / "r") == [server_record()]


def test_json_and_back() -> None:
    for rival in (beside(), beside(runs=(), not_run="why")):
        assert Beside.from_json(json.loads(json.dumps(rival.as_json()))) == rival
