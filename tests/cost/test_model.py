# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from itertools import pairwise

import pytest

from ubypass import processor
from ubypass.calibrate import Calibration, typical
from ubypass.cost import model as module
from ubypass.cost.gap import GapProfile
from ubypass.cost.model import DEFAULT, Range, model_of, models
from ubypass.errors import UbError, UsageError

#: Gaps of Debian 12's Redis and nginx, traced under load.
READ_GET = GapProfile(3918, 2750, 620, 174, 93, 2)
WRITE = GapProfile(376, 334, 68, 19, 9, 4)
RECVFROM = GapProfile(4676, 2814, 1078, 145, 182, 2)
SENDFILE = GapProfile(451, 445, 120, 13, 18, 6)
CLOSE = GapProfile(983, 719, 233, 37, 27, 9)
#: And of a loop of getppid.
GETPPID = GapProfile(9, 10, 0, 2, 1, 1)


def test_ranges() -> None:
    one, other = Range(1, 2, 3), Range(0, 1, 5)
    assert one + other == Range(1, 3, 8)
    assert one.less(other) == Range(-4, 1, 3)
    assert one.most(other) == Range(1, 2, 5)
    assert other.times(3) == Range(0, 3, 15)


@pytest.mark.parametrize("name", models())
def test_every_model(name: str) -> None:
    model = model_of(name)
    assert model.name == name
    assert name in model.describe()
    saving = model.saving(GETPPID)
    # A dispatch without anything else saves most of a transition.
    assert 0 < saving.low < saving.likely < saving.high
    assert saving.likely < model.native(GETPPID).likely
    # Each parameter says where it comes from.
    for key in ("transition", "dispatch", "run", "turn", "isolation"):
        assert getattr(model, key).source
    assert model.isolation.ns.low > 0


@pytest.mark.parametrize(
    # sapphire-rapids is fitted to an older translator, which charged more often.
    ("name", "receiving"),
    [("zen4", True), ("sapphire-rapids", False)],
)
def test_what_replayed_chains_showed(name: str, receiving: bool) -> None:
    """The order is that of ``ub bench chains`` on both processors."""
    model = model_of(name)
    savings = [
        model.saving(gap).likely for gap in (CLOSE, SENDFILE, WRITE, READ_GET, RECVFROM)
    ]
    gaining = [saving > 0 for saving in savings]
    assert gaining == [True, True, True, True, receiving]
    assert all(a > b for a, b in pairwise(savings[2:]))


def test_more_of_each_kind_saves_less() -> None:
    model, before = model_of("zen4"), GapProfile(100, 100)
    for gap in (
        GapProfile(100, 100, accesses=50),
        GapProfile(100, 100, branches=50),
        GapProfile(100, 100, turns=50),
    ):
        assert model.saving(gap).likely < model.saving(before).likely
    spoiled = GapProfile(100, 100, spoiled=1)
    assert model.saving(spoiled).likely > model.saving(before).likely


def test_an_unknown_name() -> None:
    with pytest.raises(UsageError, match="no model 'zen40'") as caught:
        model_of("zen40")
    assert "zen4" in caught.value.hint


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        (processor.Identity("AuthenticAMD", 25, 17), "zen4"),
        (processor.Identity("GenuineIntel", 6, 207), "sapphire-rapids"),
        (processor.Identity("GenuineIntel", 6, 85), "skylake-pti"),
        (processor.Identity("", -1, -1), "generic"),
    ],
)
def test_the_model_of_a_processor(
    monkeypatch: pytest.MonkeyPatch, identity: processor.Identity, name: str
) -> None:
    monkeypatch.setattr(processor, "is_emulated", lambda: False)
    monkeypatch.setattr(processor, "identify", lambda: identity)
    monkeypatch.setattr(module, "cached", typical)
    found = model_of()
    assert found.name == name
    assert found.transition.ns.low == pytest.approx(typical().transition_ns)
    assert found.run == model_of(name).run


def test_where_nothing_can_be_calibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Calibration:
        raise UbError("no code of our own may be run here")

    monkeypatch.setattr(processor, "is_emulated", lambda: False)
    monkeypatch.setattr(module, "cached", refuse)
    assert model_of() in models().values()


def test_a_calibrated_transition_keeps_its_shape() -> None:
    model = model_of("zen4")
    ns, known = model.calibrated(164.0).transition.ns, model.transition.ns
    assert ns.low == 164.0
    assert ns.high / ns.low == pytest.approx(known.high / known.low)


def test_in_an_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "is_emulated", lambda: True)
    assert model_of() == model_of(DEFAULT)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ns": [2, 1, 3], "status": "measured", "source": ""},
        {"ns": [1, 2, 3], "status": "guessed", "source": ""},
    ],
)
def test_data_that_is_wrong(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"models.toml: x\.run"):
        module._parameter("x.run", wrong)
