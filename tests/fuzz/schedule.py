# SPDX-License-Identifier: GPL-2.0-only
"""In which order units come: every form first, then a mixture without end."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.fuzz.blocks import programs
from tests.fuzz.forms import all_forms
from tests.fuzz.units import Unit, program_blocks

__all__ = ["endless", "forms_once", "sample_of_form"]

# One unit in so many of the mixture is of a trusted program, or runs as under FRED.
_TRUSTED = 4
_FRED = 9
# How many of each kind in one turn of the mixture, and states to run each with.
_FORMS, _MIXED, _DENSE, _BLOCKS, _REGIONS = 4, 8, 6, 12, 1
# Instances of a form that is hard to hit: some shapes are left to user mode.
_MORE = 40
_STATES = {"form": 60, "mixed": 60, "dense": 60, "block": 30, "region": 150}


def forms_once(seed: int, instances: int = 3) -> Iterator[Unit]:
    """Every form, ``instances`` times."""
    for number in range(instances):
        for name in all_forms():
            yield Unit("form", name, seed * 1000 + number, _STATES["form"])


def sample_of_form(name: str, states: int, most: int = 24) -> Iterator[Unit]:
    """Instances of one form, always the same ones."""
    for number in range(most):
        yield Unit("form", name, number, states)


def endless(seed: int, missing: Callable[[], list[str]] = lambda: []) -> Iterator[Unit]:
    """All forms, then forms, blocks and regions in turn; every block once, then
    again with other states. ``missing`` names forms that need more instances.
    """
    yield from forms_once(seed)
    for number in range(_MORE):
        for name in missing():
            yield Unit("form", name, seed * 1000 + 500 + number, _STATES["form"])
    for number, unit in enumerate(_mixture(seed)):
        trusted, fred = number % _TRUSTED == 0, number % _FRED == 0
        yield replace(unit, trusted=trusted, fred=fred)


def _mixture(seed: int) -> Iterator[Unit]:
    """Forms, blocks and regions in turn."""
    blocks, forms = _blocks(seed), _forms(seed)
    number = mixed = dense = seed << 20
    while True:
        for _ in range(_FORMS):
            yield next(forms)
        for _ in range(_MIXED):
            mixed += 1
            yield Unit("mixed", "", mixed, _STATES["mixed"])
        for _ in range(_DENSE):
            dense += 1
            yield Unit("dense", "", dense, _STATES["dense"])
        for _ in range(_BLOCKS):
            unit = next(blocks, None)
            if unit is not None:
                yield unit
        for _ in range(_REGIONS):
            yield Unit("region", "", number, _STATES["region"])
            number += 1


def _forms(seed: int) -> Iterator[Unit]:
    number = seed * 1000 + 3
    while True:
        for name in all_forms():
            yield Unit("form", name, number, _STATES["form"])
        number += 1


def _blocks(seed: int) -> Iterator[Unit]:
    rng = random.Random(seed)
    all_blocks = [
        (str(path), number)
        for path in programs()
        for number in range(len(program_blocks(str(path))))
    ]
    while all_blocks:
        rng.shuffle(all_blocks)
        for path, number in all_blocks:
            yield Unit("block", path, number, _STATES["block"])
