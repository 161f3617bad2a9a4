# SPDX-License-Identifier: GPL-2.0-only
"""Reading our own memory the way another process's memory is read."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator

import pytest

from ubypass.errors import UbError
from ubypass.process.memory import ProcessMemory


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


def test_a_process_that_is_gone_is_an_error_for_people() -> None:
    with pytest.raises(UbError, match="no longer exists"):
        ProcessMemory(2**22 + 1)
