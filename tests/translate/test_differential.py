# SPDX-License-Identifier: GPL-2.0-only
"""Random programs, native and translated: the user must not see a difference."""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import replace

import pytest

from tests.translate.assemble import assemble
from tests.translate.machine import NAMES, Native, Translated, User, differences
from tests.translate.programs import (
    DATA,
    DATA_SIZE,
    STACK,
    STACK_SIZE,
    THREAD,
    THREAD_SIZE,
    Program,
)
from ubypass.abi import Abi, ExitReason, Translation
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.graph import Region
from ubypass.region.liveness import flags_live
from ubypass.region.reader import BytesReader
from ubypass.translate.translate import translate

TEXT = 0x5555_5555_0000
# iced's bit of each flag → its bit in eflags.
_EFLAGS = {1: 0x800, 2: 0x80, 4: 0x40, 8: 0x10, 16: 0x1, 32: 0x4}
_ROUNDS = 3
_ABI = Abi(dispatch_size=16, dispatch_vector_size=24)
_SEEDS = int(os.environ.get("UBYPASS_SEEDS", "80"))
_FIRST = int(os.environ.get("UBYPASS_FIRST_SEED", "0"))


def live_flags(region: Region) -> dict[int, int]:
    """User address → eflags bits that must be right there."""
    found = {}
    for start, points in flags_live(region).items():
        for instruction, live in zip(
            region.blocks[start].instructions, points, strict=False
        ):
            found[instruction.ip] = sum(
                flag for bit, flag in _EFLAGS.items() if live & bit
            )
    return found


def user_state(rng: random.Random, program: Program, code: bytes, start: int) -> User:
    """A process about to run ``program`` from ``start``."""
    text = code + bytes(-len(code) % 4096)
    memory = {
        TEXT: text,
        DATA: rng.randbytes(DATA_SIZE),
        STACK: rng.randbytes(STACK_SIZE),
        THREAD: rng.randbytes(THREAD_SIZE),
    }
    regs = {}
    for name in NAMES:
        kind = rng.random()
        if name in program.pointers and kind < 0.97:
            regs[name] = DATA + 8 * rng.randint(64, 1024)
        elif kind < 0.4:
            regs[name] = rng.randint(0, 20)
        elif kind < 0.6:
            regs[name] = rng.getrandbits(32)
        else:
            regs[name] = rng.getrandbits(64)
    regs["rsp"] = STACK + STACK_SIZE // 2 + 8 * rng.randint(0, 10)
    flags = rng.getrandbits(12) & 0x8D5
    vectors = tuple(rng.getrandbits(128) for _ in range(16))
    return User(memory, regs, start, flags, THREAD + 0x800, vectors, frozenset({TEXT}))


def compare(seed: int, reasons: Counter[ExitReason], *, trusted: bool = False) -> None:
    """Run program number ``seed``; fails with a reproducible message."""
    abi = replace(_ABI, trusted=trusted)
    program = Program(seed)
    text = program.text()
    code, labels = assemble(text, TEXT)
    reader = BytesReader({TEXT: code})
    rng = random.Random(seed)
    blocks: list[int] = []
    targets: dict[int, tuple[int, ...]] = {}
    for attempt in range(_ROUNDS):
        hot = tuple(HotEntry(labels[name], nr) for name, nr in program.resumes)
        spec = RegionSpec(hot[: 1 + 5 * attempt], tuple(blocks), dict(targets))
        region = discover(spec, reader)
        if seed % 2:
            # As if paths through it had been traced.
            share = rng.random()
            known = (start for start in region.blocks if rng.random() < share)
            region = replace(region, traced=frozenset(known))
        translation = translate(region, abi)
        live = live_flags(region)
        for entry in rng.sample(translation.entries, min(3, len(translation.entries))):
            user = user_state(rng, program, code, entry.user_ip)
            if entry.user_ip != labels["start"]:
                user.regs["rsp"] &= ~7
            leave = rng.choice(("before", "after"))
            budget = rng.choice((5, 40, 1000, 100_000))
            count = rng.randint(1, 8)
            where = (
                f"seed {seed} round {attempt} entry {entry.user_ip:#x} "
                f"leave {leave} budget {budget} dispatches {count}"
            )
            outcome = Translated(translation, user, _ABI).run(
                entry.user_ip, count, budget, leave, random.Random(seed)
            )
            native = Native(user, _ABI)
            wrong = differences(outcome, native, live.get(outcome.exit.user_ip))
            if wrong and (outcome.doubtful or native.doubtful):
                reasons[ExitReason.NONE] += 1
                continue
            reasons[outcome.exit.reason] += 1
            assert not wrong, f"{where}: {outcome.exit}: {wrong}"
            if outcome.target:
                site = outcome.exit.user_ip
                targets[site] = (*targets.get(site, ()), outcome.target)[:4]
            elif outcome.exit.reason == ExitReason.FRONTIER:
                blocks.append(outcome.exit.user_ip)


@pytest.mark.parametrize("part", range(4))
def test_no_difference(part: int) -> None:
    reasons: Counter[ExitReason] = Counter()
    for seed in range(_FIRST + part, _FIRST + _SEEDS, 4):
        compare(seed, reasons)
    # Programs that leave at once for a dull reason would prove nothing.
    assert reasons[ExitReason.WORK] + reasons[ExitReason.DISPATCHED] > _SEEDS / 16
    assert reasons[ExitReason.FAULT] > 0
    assert sum(reasons.values()) > _SEEDS // 4
    assert reasons[ExitReason.NONE] * 50 < sum(reasons.values()), "too many doubts"


def test_no_difference_if_trusted() -> None:
    reasons: Counter[ExitReason] = Counter()
    for seed in range(_FIRST, _FIRST + _SEEDS, 4):
        compare(seed, reasons, trusted=True)
    assert reasons[ExitReason.WORK] + reasons[ExitReason.DISPATCHED] > _SEEDS / 16
    assert reasons[ExitReason.FAULT] > 0


def test_deterministic() -> None:
    code, labels = assemble(Program(7).text(), TEXT)
    spec = RegionSpec((HotEntry(labels["start"], 0),))

    def once() -> Translation:
        return translate(discover(spec, BytesReader({TEXT: code})), _ABI)

    assert once() == once()
