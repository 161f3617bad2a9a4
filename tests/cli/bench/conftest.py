# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.samples import record
from tests.bench.server.samples import server_record
from ubypass.bench.records import write_records
from ubypass.bench.server.record import write_server_records


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """A directory with records of loops, ``io.json``, and of redis, ``redis.json``."""
    folder = tmp_path / "bench"
    folder.mkdir()
    write_records(folder / "io.json", [record()])
    write_server_records(folder / "redis.json", [server_record()])
    return folder
