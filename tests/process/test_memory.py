# SPDX-License-Identifier: GPL-2.0-only
"""Reading our own memory the way another process's memory is read."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator, Sequence
from typing import ClassVar

import pytest

from ubypass.errors import UbError
from ubypass.process import memory
from ubypass.process.memory import ProcessMemory
from ubypass.process.reader import ProcessReader


@pytest.fixture
def own() -> Iterator[ProcessMemory]:
    with ProcessMemory(os.getpid()) as memory:
        yield memory


def _address(buffer: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def _code_address() -> int:
    function = ctypes.cast(ctypes.CDLL(None).getppid, ctypes.c_void_p).value
    assert function is not None
    return function


def test_code_is_read_as_it_is(own: ProcessMemory) -> None:
    address = _code_address()
    own.refresh()
    assert own.is_code(address)
    assert own.read(address, 32) == ctypes.string_at(address, 32)
    across = (address | 4095) - 5  # an access that crosses a page
    assert own.read(across, 12) == ctypes.string_at(across, 12)


def test_reads_stop_at_the_end_of_code(own: ProcessMemory) -> None:
    own.refresh()
    end = own.maps.code_end(_code_address())
    assert own.read(end - 4, 64) == ctypes.string_at(end - 4, 4)
    assert own.read(end, 16) == b""


def test_data_is_not_code_but_can_be_read_as_data(own: ProcessMemory) -> None:
    with mmap.mmap(-1, 8192) as buffer:
        address = _address(buffer)
        buffer[4090:4102] = b"across pages"
        own.refresh()
        assert own.read(address, 16) == b""
        assert own.read_data(address + 4090, 12) == b"across pages"


def test_one_look_sees_one_state_until_refreshed(own: ProcessMemory) -> None:
    with mmap.mmap(-1, 4096) as buffer:
        buffer[:3] = b"old"
        address = _address(buffer)
        own.refresh()
        assert own.read_data(address, 3) == b"old"
        buffer[:3] = b"new"
        assert own.read_data(address, 3) == b"old"
        own.refresh()
        assert own.read_data(address, 3) == b"new"


@pytest.mark.parametrize("address", [0, 64, 1 << 47, (1 << 64) - 4096, 1 << 70])
def test_addresses_that_are_not_there_give_nothing(
    own: ProcessMemory, address: int
) -> None:
    assert own.read(address, 16) == b""
    assert own.read_data(address, 16) == b""


def test_what_is_not_answered_is_not_there(
    own: ProcessMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = _code_address()
    assert not own.is_silent
    monkeypatch.setattr(own._reader, "silent", True)
    assert own.read(address, 16) == b""
    own.refresh()
    assert own.is_silent
    assert not own.is_code(address)


def test_a_process_whose_map_is_not_answered_is_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class _Silent(ProcessReader):
        def maps(self, pages: Sequence[int] = ()) -> tuple[bytes, dict[int, bytes]]:
            self.silent = True
            return b"", {}

    monkeypatch.setattr(memory, "ProcessReader", _Silent)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(UbError, match="cannot be read"):
        ProcessMemory(os.getpid())
    assert len(os.listdir("/proc/self/fd")) == before


class _Noting(ProcessReader):
    """Has the pages whose number is not a multiple of 5; notes what is asked for."""

    asked: ClassVar[list[tuple[str, list[int]]]] = []

    def maps(self, pages: Sequence[int] = ()) -> tuple[bytes, dict[int, bytes]]:
        self.asked.append(("maps", [each >> 12 for each in pages]))
        text = (
            b"2000-28000 r-xp 00000000 00:30 7 \n28000-2a000 rw-p 00000000 00:00 0 \n"
        )
        return text, self._present(pages)

    def pages(self, addresses: Sequence[int]) -> dict[int, bytes]:
        self.asked.append(("pages", [each >> 12 for each in addresses]))
        return self._present(addresses)

    def _present(self, pages: Sequence[int]) -> dict[int, bytes]:
        return {each: bytes([each >> 12]) * 4096 for each in pages if (each >> 12) % 5}


@pytest.fixture
def noting(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProcessMemory]:
    monkeypatch.setattr(memory, "ProcessReader", _Noting)
    with ProcessMemory(os.getpid()) as found:
        _Noting.asked.clear()
        yield found


def test_neighbours_of_a_page_are_read_with_it(noting: ProcessMemory) -> None:
    assert noting.read(0x3000, 2) == bytes([3, 3])
    assert noting.read(0x2000, 1) == bytes([2])
    assert noting.read(0x1F000, 1) == bytes([0x1F])
    assert noting.read_data(0x29000, 1) == bytes([0x29])
    assert _Noting.asked == [
        ("pages", list(range(0x2, 0x10))),
        ("pages", list(range(0x10, 0x20))),
        ("pages", [0x28, 0x29]),
    ]


def test_a_page_that_is_not_there_is_asked_for_once_more(noting: ProcessMemory) -> None:
    """The process may have used it since its neighbours were read."""
    noting.read(0x3000, 1)
    assert noting.read(0x5000, 1) == b""
    assert noting.read(0x5000, 1) == b""
    assert _Noting.asked[1:] == [("pages", [0x5, 0xA, 0xF])]


def test_pages_in_use_are_read_with_the_map(noting: ProcessMemory) -> None:
    noting.read(0x3000, 1)
    noting.read(0x2FFF, 2)
    noting.read(0x5000, 1)
    noting.refresh()
    assert noting.read(0x2FFF, 2) == bytes([2, 3])
    noting.refresh()
    assert _Noting.asked[2:] == [("maps", [2, 3, 5]), ("maps", [2, 3])]
    noting.refresh()
    noting.refresh()
    assert _Noting.asked[-1] == ("maps", [])


def test_a_process_that_is_gone_is_an_error_for_people() -> None:
    with pytest.raises(UbError, match="no longer exists"):
        ProcessMemory(2**22 + 1)
