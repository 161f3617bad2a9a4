# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.packets.samples import packet_record, table_of_records
from ubypass.bench.packets.record import (
    added,
    read_packet_records,
    write_packet_records,
)
from ubypass.bench.records import read_json
from ubypass.errors import UbError


def test_survives_a_file(tmp_path: Path) -> None:
    records = table_of_records()
    write_packet_records(tmp_path / "r", records)
    data = read_json(tmp_path / "r")
    assert read_packet_records(data) == records
    assert data[0]["unit"] == "instructions"
    assert data[0]["cost"] == 2_000.0
    assert data[-1]["cost"] is None
    with pytest.raises(UbError, match="not records"):
        read_packet_records([{"receiver": "x"}])


def test_what_a_receiver_adds() -> None:
    records = table_of_records()
    of = {(r.kind, r.sum): r for r in records}
    assert added(of["xdp-pass", False], records) == 600
    assert added(of["xdp-drop", False], records) == -500
    assert added(of["raw", True], records) == 2_050
    assert added(of["af-xdp", False], records) is None
    assert added(packet_record(size=65), records) is None
    assert packet_record(runs=(1.0, 9.0, 2.0)).cost == 2.0
