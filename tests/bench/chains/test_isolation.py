# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.chains.samples import replayed
from ubypass.bench.chains.figures import Figures, figures
from ubypass.bench.chains.isolation import Isolation, isolation_of
from ubypass.bench.chains.job import Mode
from ubypass.cost.model import Range, model_of, models

_ADDED = Isolation(Range(50, 100, 200), "made up")


def _cpuinfo(folder: Path, flags: str) -> Path:
    file = folder / "cpuinfo"
    file.write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\n")
    return file


@pytest.mark.parametrize("name", models())
def test_without_isolation_the_model_says_what_it_adds(
    name: str, tmp_path: Path
) -> None:
    model = model_of(name)
    found = isolation_of(model, False, _cpuinfo(tmp_path, "sse2"))
    assert found is not None
    assert found == isolation_of(model, None, _cpuinfo(tmp_path, "sse2"))
    assert found.is_modelled
    assert found.ns == model.isolation.ns
    assert name in found.source
    assert model.isolation.status in found.source


def test_with_isolation_nothing_is_added(tmp_path: Path) -> None:
    found = isolation_of(model_of("zen4"), True, _cpuinfo(tmp_path, "pti sse2"))
    assert found is not None
    assert not found.is_modelled
    assert found.ns == Range(0, 0, 0)


def test_captures_of_another_kind_of_machine_are_not_compared(tmp_path: Path) -> None:
    model = model_of("zen4")
    assert isolation_of(model, True, _cpuinfo(tmp_path, "sse2")) is None
    assert isolation_of(model, False, _cpuinfo(tmp_path, "pti")) is None


def test_share_with_isolation() -> None:
    """Both calls are dispatched: each costs 100 ns more natively, and is saved."""
    found = replace(figures(replayed(), ""), isolation=_ADDED)
    shares = found.isolated_shares
    assert shares is not None
    assert shares.likely == pytest.approx((105 + 2 * 100) / (1000 + 2 * 100))
    assert shares.low == pytest.approx((105 + 2 * 50) / (1000 + 2 * 50))
    assert shares.high == pytest.approx((105 + 2 * 200) / (1000 + 2 * 200))


def test_native_calls_only_cost_more() -> None:
    found = replace(figures(replayed(), ""), isolation=_ADDED, dispatched=0)
    shares = found.isolated_shares
    assert shares is not None
    assert shares.low == pytest.approx(105 / (1000 + 2 * 200))
    assert shares.low < shares.likely < shares.high < 0.105


def test_where_isolation_is_on_the_share_is_the_replayed_one() -> None:
    on = Isolation(Range(0, 0, 0), "on")
    found = replace(figures(replayed(), ""), isolation=on)
    shares = found.isolated_shares
    assert shares is not None
    assert shares.likely == found.share(found.saved)


def test_unknown() -> None:
    found = figures(replayed(), "")
    assert found.isolated_shares is None
    known = replace(found, isolation=_ADDED)
    assert replace(known, request_ns=None).isolated_shares is None
    assert replace(known, requests=None).isolated_shares is None
    hot = replace(figures(replayed(Mode.HOT), ""), isolation=_ADDED)
    assert hot.isolated_shares is None


def test_there_and_back() -> None:
    found = replace(figures(replayed(), ""), isolation=_ADDED)
    data = found.as_json()
    assert data["isolated_share_of_request"] == 0.25417
    assert data["isolated_share_low"] < 0.25417 < data["isolated_share_high"]
    assert Figures.from_json(data).isolation == _ADDED
    del data["isolation"]
    assert Figures.from_json(data).isolation is None
    with pytest.raises(KeyError):
        Isolation.from_json({"low_ns": 1})
