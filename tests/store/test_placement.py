# SPDX-License-Identifier: GPL-2.0-only
"""Files and offsets of a region; the region elsewhere."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from tests.store.sample import Machine, random_bases, region_of
from ubypass.process.maps import MemoryMap
from ubypass.region.graph import Block, Region
from ubypass.store.placement import NotShareable, moved, placement_of


def _values(block: Block) -> list[object]:
    """Of all fields; a compiled object has no ``__dict__``."""
    return [getattr(block, field.name) for field in fields(block)]


def _same(one: Region, other: Region) -> bool:
    """Equal, but for the order in which mappings are looked up."""
    return (
        {start: _values(block) for start, block in one.blocks.items()}
        == {start: _values(block) for start, block in other.blocks.items()}
        and list(one.blocks) == list(other.blocks)
        and replace(one, blocks={}) == replace(other, blocks={})
    )


@pytest.mark.parametrize("traces", [0, 4])
def test_a_moved_region_is_what_is_discovered_there(traces: int) -> None:
    here, there = Machine(random_bases(3)), Machine(random_bases(4))
    region, other = region_of(here, traces), region_of(there, traces)
    place = placement_of(region, here.maps)
    assert not _same(region, other)
    result = moved(region, place, placement_of(other, there.maps).bases)
    assert _same(result, other)
    assert sorted(there.bases) == sorted(placement_of(other, there.maps).bases)


def test_units_have_the_same_numbers_in_any_order_of_mappings() -> None:
    low, high = random_bases(5)
    one, other = Machine((low, high)), Machine((high, low))
    first = placement_of(region_of(one), one.maps)
    second = placement_of(region_of(other), other.maps)
    assert first.ranges == second.ranges
    assert first.bases == second.bases[::-1]


def test_an_address_outside_is_of_no_unit() -> None:
    machine = Machine(random_bases(6))
    place = placement_of(region_of(machine), machine.maps)
    unit, offset = place.locate(machine.start)
    assert place.bases[unit] + offset == machine.start
    assert place.code(machine.start, 2) == machine.read(machine.start, 2)
    for address in (0, machine.start - 1, machine.start + 0x800, 1 << 63):
        with pytest.raises(NotShareable):
            place.locate(address)


def test_code_of_no_file_is_not_shareable() -> None:
    machine = Machine(random_bases(7))
    region = region_of(machine)
    areas = tuple(replace(a, inode=0, path="") for a in machine.maps.areas)
    with pytest.raises(NotShareable, match="not of a file"):
        placement_of(region, MemoryMap(areas))
    named = tuple(replace(a, inode=0, path="[vdso]") for a in machine.maps.areas)
    assert len(placement_of(region, MemoryMap(named)).bases) == 2
    with pytest.raises(NotShareable):
        placement_of(region, MemoryMap(()))


def test_a_branch_that_leads_to_another_file_is_not_shareable() -> None:
    """What looks like one file to the processor may be two mappings."""
    machine = Machine(random_bases(8))
    region = region_of(machine)
    place = placement_of(region, machine.maps)
    block = next(b for b in region.blocks.values() if len(b.targets) == 2)
    start = block.start
    wrong = type(block)(
        start,
        block.instructions,
        block.next_ip,
        block.end,
        (block.targets[0] + 4096, block.targets[1]),
    )
    broken = replace(region, blocks={**region.blocks, start: wrong})
    with pytest.raises(NotShareable, match="does not move"):
        moved(broken, place, place.bases)
