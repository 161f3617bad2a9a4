# SPDX-License-Identifier: GPL-2.0-only
"""Translations are moved to other addresses, or are not shareable."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.store.libc import ABI as LIBC_ABI
from tests.store.libc import libc_region
from tests.store.sample import ABI, Machine, random_bases, region_of
from ubypass.abi import Translation
from ubypass.process.memory import ProcessMemory
from ubypass.region.graph import Region
from ubypass.store.placement import NotShareable, placement_of
from ubypass.store.portable import FIXED, Portable, make_portable, placed
from ubypass.translate.translate import translate
from ubypass.verify.check import check


def _translate(region: Region) -> Translation:
    return translate(region, ABI)


def _portable(machine: Machine, traces: int = 0) -> Portable:
    region = region_of(machine, traces)
    return make_portable(region, placement_of(region, machine.maps), _translate)


@pytest.mark.parametrize("traces", [0, 3])
@pytest.mark.parametrize("careful", [False, True])
def test_a_moved_translation_is_what_the_translator_makes_there(
    traces: int, careful: bool
) -> None:
    def made(region: Region) -> Translation:
        return translate(region, ABI, careful=careful)

    here, there = Machine(random_bases(1)), Machine(random_bases(2))
    region, other = region_of(here, traces), region_of(there, traces)
    portable = make_portable(region, placement_of(region, here.maps), made)
    assert {each.unit for each in portable.relocations} == {0, 1}
    place = placement_of(other, there.maps)
    result = placed(portable, place.bases, other.sources)
    expected = made(other)
    assert result == expected
    assert (result.exact, result.anchored) == (expected.exact, expected.anchored)
    check(result, ABI)


def test_addresses_of_no_file_do_not_move() -> None:
    portable = _portable(Machine(random_bases(1)))
    unused = [i for i, unit in enumerate(portable.moving) if unit == FIXED]
    assert unused  # exits that set no rcx
    made = portable.translation
    tables = [entry.user_ip for entry in made.entries]
    for leave in made.exits:
        tables += [leave.user_ip, leave.cx]
    assert {tables[i] for i in unused} == {0}


def test_nothing_of_the_process_is_left_in_it() -> None:
    machine = Machine(random_bases(1))
    portable = _portable(machine)
    assert portable.translation.sources == ()
    pages = {(base >> 24).to_bytes(4, "little") for base in machine.bases}
    assert not [page for page in pages if page in portable.translation.code]


def _changed(
    change: Callable[[Translation], Translation],
) -> Callable[[Region], Translation]:
    return lambda region: change(_translate(region))


def test_code_that_depends_on_addresses_in_another_way_is_not_shareable() -> None:
    def half(made: Translation) -> Translation:
        low = (made.entries[0].user_ip >> 12 & 0xFFFFFF).to_bytes(3, "little")
        return replace(made, code=made.code + low + bytes(16))

    def longer(made: Translation) -> Translation:
        return replace(made, code=made.code + bytes(made.entries[0].user_ip >> 12 & 63))

    def doubled(made: Translation) -> Translation:
        first = made.entries[0]
        return replace(made, entries=(replace(first, user_ip=2 * first.user_ip),))

    machine = Machine(random_bases(1))
    region = region_of(machine)
    place = placement_of(region, machine.maps)
    for change in (half, longer, doubled):
        with pytest.raises(NotShareable):
            make_portable(region, place, _changed(change))


def test_the_third_placement_finds_what_two_do_not_show() -> None:
    """Code that differs at the third translation only."""
    calls = []

    def moody(region: Region) -> Translation:
        calls.append(region)
        made = _translate(region)
        return made if len(calls) < 3 else replace(made, code=b"\x90" + made.code[1:])

    machine = Machine(random_bases(1))
    region = region_of(machine)
    with pytest.raises(NotShareable, match="in another way"):
        make_portable(region, placement_of(region, machine.maps), moody)


def test_code_of_a_real_library_is_moved() -> None:
    """Mapped at random; the places are chosen at random as well."""
    with ProcessMemory(os.getpid()) as memory:
        region = libc_region(memory)
        place = placement_of(region, memory.maps)
    portable = make_portable(region, place, lambda moved: translate(moved, LIBC_ABI))
    assert len(portable.relocations) > 20
    result = placed(portable, place.bases, region.sources)
    assert result == translate(region, LIBC_ABI)
    check(result, LIBC_ABI)
