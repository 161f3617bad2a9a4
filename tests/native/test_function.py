# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import ctypes
from dataclasses import replace

from ubypass.native.case import ABI
from ubypass.native.function import SUM, Function, Learned
from ubypass.native.timing import Timed
from ubypass.region.graph import Region
from ubypass.translate.translate import translate

_TEXT = ctypes.create_string_buffer(b"a-b-c-d: 4711")


def _function(name: str, *arguments: int) -> Function:
    address = ctypes.cast(getattr(ctypes.CDLL(None), name), ctypes.c_void_p).value
    assert address is not None
    return Function(address, arguments)


def test_a_function_of_this_process() -> None:
    learned = Learned.learn(_function("strtol", ctypes.addressof(_TEXT) + 9, 0, 10))
    assert learned.left is None
    native = learned.call(3, translated=False)
    translated = learned.call(3, translated=True)
    assert native.registers[SUM] == translated.registers[SUM] == 3 * 4711
    assert not translated.early
    assert native.cycles > 0


def test_instructions_are_counted() -> None:
    learned = Learned.learn(_function("ffs", 0x40))
    few = learned.call(2, translated=False, count=True)
    more = learned.call(12, translated=False, count=True)
    per_call = (more.instructions - few.instructions) / 10
    # Seven in the loop that calls.
    assert 7 < per_call < 20
    assert per_call == int(per_call)
    more = learned.call(12, translated=True, count=True)
    assert sum(times for _, times in more.histogram) == more.instructions


def test_code_that_leaves_early_is_run_to_its_end() -> None:
    learned = Learned.learn(_function("strtol", ctypes.addressof(_TEXT) + 9, 0, 10))
    # Nothing inside: the call misses, and all of it runs natively.
    text = learned.region.blocks[learned.case.entries[0]]
    region = Region({text.start: text}, learned.region.entries, ())
    translation = translate(region, ABI)
    case = replace(
        learned.case,
        translation=translation,
        live=(0,) * len(translation.exits),
        bases=(0,) * len(translation.exits),
    )
    call = Timed(case).call(learned.registers(4), translated=True)
    assert call.early
    assert call.registers[SUM] == 4 * 4711


def test_the_way_of_the_original_is_told() -> None:
    learned = Learned.learn(_function("ffs", 0x40))
    call = learned.call(2, translated=False, count=True)
    start = learned.case.entries[0]
    assert len(call.path) == call.instructions
    assert call.path.count(start) == 2
    assert call.path[0] == start
    # What runs is what counts as traced; the blocks around it are not.
    assert learned.region.traced
    assert learned.region.traced <= set(call.path)
