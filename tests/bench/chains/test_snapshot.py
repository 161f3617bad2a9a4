# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.chains.samples import captured, made_up
from ubypass.bench.chains.snapshot import load, save_origin
from ubypass.errors import UbError


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UbError, match="contains no capture"):
        load(tmp_path)


def test_loads_what_was_captured(tmp_path: Path) -> None:
    found = captured("plain", tmp_path)
    assert load(tmp_path) == found
    assert found.registers[1] == found.rip  # rcx, behind a system call
    code = next(area for area in found.areas if area.executable)
    assert len(found.content(code)) == code.end - code.start


@pytest.mark.parametrize("name", ["capture.json", "calls", "registers", "ways"])
def test_damaged(tmp_path: Path, name: str) -> None:
    captured("plain", tmp_path)
    (tmp_path / name).write_text("x\n")
    with pytest.raises(UbError, match="is unreadable"):
        load(tmp_path)


def test_not_complete(tmp_path: Path) -> None:
    captured("plain", tmp_path)
    with (tmp_path / "memory").open("r+b") as file:
        file.truncate(4096)
    with pytest.raises(UbError, match="is incomplete"):
        load(tmp_path)


def test_another_format(tmp_path: Path) -> None:
    found = captured("plain", tmp_path)
    save_origin(tmp_path, found.origin)
    file = tmp_path / "capture.json"
    file.write_text(file.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(UbError, match="another format"):
        load(tmp_path)


def test_of_another_processor() -> None:
    here = made_up()
    here.require_here()
    with_more = here.origin.features | {"avx512_of_tomorrow"}
    there = replace(
        here, origin=replace(here.origin, cpu="Other 9", features=with_more)
    )
    with pytest.raises(UbError, match="another processor, Other 9") as caught:
        there.require_here()
    assert "avx512_of_tomorrow" in str(caught.value)


def test_what_code_cannot_see_does_not_matter() -> None:
    here = made_up()
    with_more = here.origin.features | {"nopl_of_tomorrow", "ibrs_of_tomorrow"}
    replace(here, origin=replace(here.origin, features=with_more)).require_here()
