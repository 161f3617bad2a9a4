# SPDX-License-Identifier: GPL-2.0-only
"""A fixed-seed sample of what ``make fuzz`` does: every form, some blocks, some
programs."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tests.fuzz.blocks import programs
from tests.fuzz.forms import absent, all_forms
from tests.fuzz.schedule import sample_of_form
from tests.fuzz.units import Unit, form_code, program_blocks, run_unit

_PARTS = 4
_STATES = 30
_BLOCKS = 250


@pytest.mark.parametrize("part", range(_PARTS))
def test_every_form_is_exact(part: int) -> None:
    names = all_forms()[part::_PARTS]
    wrong, missing = [], []
    for name in names:
        hit = False
        # Some shapes of some forms are left to user mode.
        for unit in sample_of_form(name, _STATES):
            outcome = run_unit(unit)
            if outcome.failure:
                wrong.append(f"{unit}: {outcome.failure}")
            hit |= form_code(name) in outcome.hit
            if hit:
                break
        if not hit:
            missing.append(name)
    assert wrong == []
    assert missing == []


def test_forms_that_this_processor_lacks_are_named() -> None:
    assert len(absent()) + len(all_forms()) > 1500
    assert not set(absent()) & set(all_forms())


@pytest.mark.parametrize("path", [str(path) for path in programs()])
def test_blocks_of_real_programs(path: str) -> None:
    total = len(program_blocks(path))
    assert total > 10_000
    numbers = random.Random(1).sample(range(total), _BLOCKS)
    outcomes = [run_unit(Unit("block", path, n, _STATES)) for n in numbers]
    assert [f"{o.unit}: {o.failure}" for o in outcomes if o.failure] == []
    assert sum(outcome.executions for outcome in outcomes) == _BLOCKS * _STATES
    assert sum(outcome.undecided for outcome in outcomes) < _BLOCKS


def test_mixtures_of_forms() -> None:
    outcomes = [run_unit(Unit("mixed", "", seed, 40)) for seed in range(500)]
    assert [f"{o.unit}: {o.failure}" for o in outcomes if o.failure] == []
    assert len({form for outcome in outcomes for form in outcome.hit}) > 300


def test_dense_code() -> None:
    outcomes = [run_unit(Unit("dense", "", seed, 40)) for seed in range(400)]
    assert [f"{o.unit}: {o.failure}" for o in outcomes if o.failure] == []
    assert sum(outcome.needless for outcome in outcomes) == 0
    # Flags that nobody reads: docs/limits.md says where they are others.
    faults = sum(outcome.faults for outcome in outcomes)
    assert faults > 1000
    assert sum(outcome.stale for outcome in outcomes) < 0.08 * faults


def test_programs_with_branches_loops_and_calls() -> None:
    outcomes = [run_unit(Unit("region", "", seed, 100)) for seed in range(40)]
    assert [f"{o.unit}: {o.failure}" for o in outcomes if o.failure] == []
    assert sum(outcome.needless for outcome in outcomes) == 0


def test_trusted_programs() -> None:
    """Guards instead of clamps: the same exits, at the same instructions."""
    units = [Unit("mixed", "", seed, 40, trusted=True) for seed in range(250)]
    units += [Unit("dense", "", seed, 40, trusted=True) for seed in range(150)]
    units += [Unit("region", "", seed, 100, trusted=True) for seed in range(20)]
    for name in all_forms()[::9]:
        units += [replace(u, trusted=True) for u in sample_of_form(name, _STATES, 2)]
    outcomes = [run_unit(unit) for unit in units]
    assert [f"{o.unit}: {o.failure}" for o in outcomes if o.failure] == []
    assert sum(outcome.needless for outcome in outcomes) == 0
    assert sum(outcome.faults for outcome in outcomes) > 1000


def test_calls_that_leave_rcx_and_r11() -> None:
    """As under FRED, where the program finds its own values there."""
    units = [Unit("mixed", "", seed, 40, fred=True) for seed in range(250)]
    units += [Unit("dense", "", seed, 40, fred=True) for seed in range(150)]
    units += [Unit("region", "", seed, 100, fred=True) for seed in range(40)]
    outcomes = [run_unit(unit) for unit in units]
    assert [f"{o.unit}: {o.failure}" for o in outcomes if o.failure] == []
    assert sum(outcome.needless for outcome in outcomes) == 0


@pytest.mark.parametrize("path", [str(path) for path in programs()])
def test_blocks_of_real_programs_that_are_trusted(path: str) -> None:
    total = len(program_blocks(path))
    numbers = random.Random(2).sample(range(total), _BLOCKS // 2)
    units = [Unit("block", path, n, _STATES, trusted=True) for n in numbers]
    outcomes = [run_unit(unit) for unit in units]
    assert [f"{o.unit}: {o.failure}" for o in outcomes if o.failure] == []
