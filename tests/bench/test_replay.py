# SPDX-License-Identifier: GPL-2.0-only
"""Tests of ubypass.bench.replay."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.fakes import FakeMemory
from ubypass.abi import Abi, SiteKey
from ubypass.bench.documents.read import read_batch
from ubypass.bench.records import read_json
from ubypass.bench.replay import read_replayed, replay_afresh, write_replayed
from ubypass.bench.results import results
from ubypass.engine.build import Builder
from ubypass.engine.built import NothingToBuild
from ubypass.engine.profile import HotSite, Profile
from ubypass.engine.recording import Recorder
from ubypass.errors import UbError

# 1000 syscall; 1002 inc rbx; 1005 mov eax, 39; 100a jmp 1000
_CODE = {0x1000: bytes.fromhex("0f0548ffc3b827000000ebf4")}


def test_a_recording_is_timed_and_shown(tmp_path: Path) -> None:
    file = tmp_path / "some-server.builds"
    recorder = Recorder(Builder(Abi()), Abi(), file)
    for _ in range(3):
        recorder(
            Profile(entries={SiteKey(0x1002, 39): HotSite()}), FakeMemory(dict(_CODE))
        )
    with pytest.raises(NothingToBuild):
        recorder(Profile(), FakeMemory())
    found = replay_afresh(file)
    assert (found.name, found.builds, found.nothing) == ("some-server", 4, 1)
    assert found.instructions == 3 * 4
    assert 0 < found.longest <= found.seconds
    out = tmp_path / "replay.json"
    write_replayed(out, [found])
    assert read_replayed(read_json(out)) == [found]
    assert "| some-server | 4 | 1 | 12 |" in results([read_batch(out)])


def test_what_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(UbError, match="cannot read"):
        replay_afresh(tmp_path / "none")
    with pytest.raises(UbError, match="not a record"):
        read_replayed([{"replayed": "x"}])
