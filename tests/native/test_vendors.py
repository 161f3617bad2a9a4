# SPDX-License-Identifier: GPL-2.0-only
"""What differs between processors must not look like a wrong translation."""

from __future__ import annotations

import ctypes
import time

import pytest

from tests.native.samples import TEXT, case_of
from ubypass.native.runner import keeps_x87_pointers, load, run
from ubypass.processor import vendor

_SIZE = 4096
_FOP, _FIP, _FDP, _MXCSR, _HEADER, _REST = 6, 8, 16, 24, 512, 576


def _text(address: int, size: int) -> int | None:
    find = load().ub_text
    find.restype = ctypes.c_void_p
    find.argtypes = (ctypes.c_uint64, ctypes.c_uint64)
    found: int | None = find(address, size)
    return found


def test_text_is_found_at_its_addresses_only() -> None:
    run(case_of("nop"), 1)
    first = _text(TEXT, 1)
    assert first is not None
    assert _text(TEXT + 4095, 1) == first + 4095
    assert _text(TEXT, 4096) == first
    for address, size in (
        (TEXT - 1, 1),
        (TEXT + 4096, 1),
        (TEXT + 4095, 2),
        (TEXT, 4097),
        # The end of what is asked for is beyond the last address.
        (2**64 - 1, 1),
        (2**64 - 1, 2),
        (2**64 - 8, 16),
        (TEXT, 2**64 - 1),
        (0, 2**64 - 1),
    ):
        assert _text(address, size) is None, (hex(address), size)


@pytest.mark.parametrize("target", ["-1", "-2", "0x800000000000", "0x7ffffffff000"])
def test_a_return_to_nowhere(target: str) -> None:
    """An AMD processor has returned when it faults, an Intel one has not."""
    case = case_of(f"mov rbx, {target}; push rbx; ret")
    found = run(case, 200, 1)
    assert found.failure is None, str(found.failure)


def _differ(byte: int, pointers: bool) -> int:
    compare = load().ub_fpu_differ
    compare.restype = ctypes.c_uint64
    one = ctypes.create_string_buffer(_SIZE)
    other = ctypes.create_string_buffer(_SIZE)
    if byte < _SIZE:
        other[byte] = 1
    found: int = compare(one, other, ctypes.c_uint32(pointers))
    return found


@pytest.mark.parametrize("pointers", [False, True])
def test_state_that_every_processor_keeps_is_compared(pointers: bool) -> None:
    assert _differ(_SIZE, pointers) == _SIZE
    for byte in (*range(_FOP), *range(_MXCSR, _HEADER), *range(_REST, _SIZE)):
        assert _differ(byte, pointers) == byte & ~7
    for byte in range(_HEADER, _REST):
        assert _differ(byte, pointers) == _SIZE


def test_x87_addresses_are_compared_where_they_are_kept() -> None:
    for byte in range(_FOP, _MXCSR):
        assert _differ(byte, True) == byte & ~7
        assert _differ(byte, False) == _SIZE


def test_which_processors_keep_them() -> None:
    kept = keeps_x87_pointers()
    if vendor() in ("AuthenticAMD", "HygonGenuine"):
        assert not kept
    elif vendor() == "GenuineIntel":
        assert kept


def test_many_short_executions_are_no_long_one() -> None:
    """The time limit is for one execution: the timer fires during some of many."""
    case = case_of("pause; " * 800)
    start = time.process_time()
    run(case, 100, 1)
    each = (time.process_time() - start) / 100
    found = run(case, int(1.5 / each), 1)
    assert found.failure is None, str(found.failure)
    assert found.undecided == 0
