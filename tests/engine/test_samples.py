# SPDX-License-Identifier: GPL-2.0-only
"""Samples become starts of real blocks and cut none."""

from __future__ import annotations

from ubypass.engine.samples import sampled_blocks
from ubypass.region.discover import HotEntry, Limits, RegionSpec, discover
from ubypass.region.graph import Region
from ubypass.region.reader import BytesReader

_START = 0x1000
# 1000 syscall; 1002..1009 nops; 100a dec rbx; 100d je 1014; 100f nops; 1014 nops;
# 1018 mov eax, 39; 101d jmp 1000
_CODE = bytes.fromhex(
    "0f05 9090909090909090 48ffcb 7405 9090909090 90909090 b827000000 ebe1"
)


def _region(samples: tuple[int, ...]) -> Region:
    spec = RegionSpec((HotEntry(0x1002, 39),), samples)
    return discover(spec, BytesReader({_START: _CODE}), Limits())


def test_a_sample_inside_a_block_means_its_start() -> None:
    samples = (0x1005, 0x1008, 0x1011)
    assert sampled_blocks(_region(samples), samples, 32) == (0x1002, 0x100F)


def test_a_sample_at_a_start_is_that_start() -> None:
    samples = (0x1014, 0x1002)
    assert sampled_blocks(_region(samples), samples, 32) == (0x1002, 0x1014)


def test_samples_that_were_not_reached_are_dropped() -> None:
    assert sampled_blocks(_region(()), (0x1005, 0x9999), 32) == ()


def test_explored_from_natural_starts_nothing_is_cut() -> None:
    samples = (0x1005, 0x1008, 0x1011, 0x1016)
    starts = sampled_blocks(_region(samples), samples, 32)
    assert set(_region(starts).blocks) == set(_region(()).blocks)


def test_a_block_longer_than_the_reach_keeps_some_cuts() -> None:
    code = bytes.fromhex("0f05") + b"\x90" * 100 + bytes.fromhex("b827000000 0f05")
    samples = tuple(range(0x100A, 0x1066, 8))
    spec = RegionSpec((HotEntry(0x1002, 39),), samples)
    limits = Limits(reach=20)
    region = discover(spec, BytesReader({_START: code}), limits)
    starts = sampled_blocks(region, samples, limits.reach)
    assert 4 <= len(starts) < len(samples)
    again = discover(
        RegionSpec((HotEntry(0x1002, 39),), starts), BytesReader({_START: code}), limits
    )
    assert again.instruction_count == region.instruction_count
