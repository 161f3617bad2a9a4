# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, cast

import pytest

from tests.selftests import keeper
from tests.selftests.frozen import dumps
from tests.selftests.keeper import Booster
from tests.selftests.translations import key_of
from ubypass.abi import Translation
from ubypass.device.client import Device, SourceChanged
from ubypass.device.types import Stats
from ubypass.errors import UbError

_ME = os.getpid()
_REGION = Translation(b"\xc3", (), (), (), (), (), (), 1)


class _Module:
    """Has attachments that end as soon as there is another one."""

    def __init__(self) -> None:
        self.attached: list[int] = []
        self.most = 0
        self._next = 0
        self.changed = False
        self.full = 0
        self.ended = True

    def attach(self, pid: int) -> int:
        assert pid == _ME
        self._next += 1
        self.attached.append(self._next)
        self.most = max(self.most, len(self.attached))
        return self._next

    def load(self, proc: int, translation: Translation) -> None:
        assert proc in self.attached
        if self.changed:
            raise SourceChanged
        if self.full:
            self.full -= 1
            raise UbError("no room") from OSError(errno.ENOSPC, "no room")

    def stats(self, proc: int) -> Stats:
        return Stats(native=1, dispatched=2, runs=1, gone=self.ended)

    def detach(self, proc: int) -> None:
        self.attached.remove(proc)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    program = os.readlink(f"/proc/{_ME}/exe")
    (tmp_path / f"{key_of(program)}.regions").write_bytes(dumps([_REGION, _REGION]))
    return tmp_path


def _booster(module: Any, directory: Path) -> Booster:
    return Booster(cast(Device, module), directory)


def test_those_that_have_ended_make_room(directory: Path) -> None:
    module = _Module()
    booster = _booster(module, directory)
    for _ in range(5):
        booster.hold(_ME)
    assert module.most == 1
    figures = booster.take()
    assert not module.attached
    assert (figures["processes"], figures["boosted"], figures["loads"]) == (5, 5, 10)
    assert (figures["native"], figures["dispatched"]) == (5, 10)
    assert booster.take()["problems"] == {}


def test_regions_of_other_code_are_counted(directory: Path) -> None:
    module = _Module()
    module.changed = True
    booster = _booster(module, directory)
    booster.hold(_ME)
    assert booster.take()["problems"] == {"other code at this address": 2}


def test_a_full_module_is_tried_again(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "_PAUSE", 0.0)
    module = _Module()
    module.full, module.ended = 3, False
    booster = _booster(module, directory)
    booster.hold(_ME)
    figures = booster.take()
    assert (figures["loads"], figures["problems"]) == (2, {})
    module.full = 1000
    booster.hold(_ME)
    assert booster.take()["problems"] == {"no room": 2}


def test_programs_without_regions_stay_native(tmp_path: Path) -> None:
    module = _Module()
    _booster(module, tmp_path).hold(_ME)
    assert module.most == 0
