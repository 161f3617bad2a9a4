# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest

from tests.calibrate.made import calibration, transition
from ubypass.calibrate.figures import DEPTHS, Calibration, Figure, Kind


def test_it_is_the_same_through_json() -> None:
    made = calibration()
    assert Calibration.from_data(json.loads(json.dumps(made.as_data()))) == made


def test_it_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        calibration().rounds = 1  # type: ignore[misc]
    assert hash(calibration()) == hash(calibration())


def test_cycles() -> None:
    made = calibration()
    assert made.ns_per_cycle == 0.25
    assert made.cycles(10.0) == 40.0


def test_by_kind() -> None:
    made = calibration()
    assert made.transition_ns == 100.0
    pread = made.transition(Kind.PREAD)
    assert pread is not None
    assert pread.kind is Kind.PREAD
    fewer = tuple(t for t in made.transitions if t.kind is not Kind.SEND)
    assert calibration(transitions=fewer).transition(Kind.SEND) is None


def test_what_each_return_adds() -> None:
    straight = transition(Kind.PREAD, [200.0 + 7 * depth for depth in DEPTHS])
    assert straight.ns == 200.0
    assert straight.per_return_ns == pytest.approx(7.0)
    for returns in (0, 1, 3, 5.5, 16):
        assert straight.spoiled_ns(returns) == pytest.approx(7.0 * returns)
    assert straight.spoiled_ns(40) == straight.spoiled_ns(16)
    assert straight.spoiled_ns(-1) == 0


def test_returns_that_cost_unequally() -> None:
    steps = transition(Kind.PREAD, [200.0, 240.0, 250.0, 260.0, 260.0, 260.0])
    assert steps.spoiled_ns(1) == 40.0
    assert steps.spoiled_ns(3) == 55.0
    assert steps.spoiled_ns(12) == 60.0


def test_noise_is_no_gain() -> None:
    noisy = transition(Kind.EMPTY, [100.0, 99.0, 98.0, 99.0, 97.0, 98.0])
    assert noisy.per_return_ns == 0
    assert noisy.spoiled_ns(2) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"cycle": Figure(0.0, 0.0)},
        {"cycle": Figure(math.nan, 0.0)},
        {"plain_add": Figure(math.inf, 0.0)},
        {"plain_add": Figure(1.0, math.nan)},
        {"clamp_latency": Figure(1e9, 0.0)},
        {"tsc_mhz": math.nan},
        {"seconds": math.inf},
        {"transitions": ()},
        {"transitions": calibration().transitions[1:]},
        {"transitions": (*calibration().transitions, calibration().transitions[0])},
    ],
)
def test_what_cannot_be(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        calibration(**changes)


def test_a_transition_that_takes_no_time() -> None:
    empty = transition(Kind.EMPTY, [0.0] * len(DEPTHS))
    with pytest.raises(ValueError, match="no time"):
        calibration(transitions=(empty, *calibration().transitions[1:]))


def _damaged() -> list[object]:
    good = calibration().as_data()
    found: list[object] = [None, 1, "text", [], {}]
    found += [{k: v for k, v in good.items() if k != name} for name in good]
    found += [good | {name: None} for name in good]
    found += [good | {name: {}} for name in good]
    found += [good | {"rounds": 1.5}, good | {"measured": 1}, good | {"tsc_mhz": True}]
    found += [good | {"tsc_mhz": 10**400}, good | {"cycle": {"ns": "1", "spread": 0}}]
    shorter = good["transitions"][0] | {"by_depth": []}
    found.append(good | {"transitions": [shorter, *good["transitions"][1:]]})
    unknown = good["transitions"][0] | {"kind": "other"}
    found.append(good | {"transitions": [*good["transitions"], unknown]})
    return found


@pytest.mark.parametrize("data", _damaged())
def test_other_data(data: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        Calibration.from_data(data)
