# SPDX-License-Identifier: GPL-2.0-only
"""``docs/json.md`` has each key, and no other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.cli.test_first import _process, _state
from tests.places import ROOT
from tests.service.played import House
from ubypass.cost.model import models
from ubypass.estimate.machine import Machine, Ranked
from ubypass.service.requests import status


def _documented(heading: str) -> tuple[set[str], set[str]]:
    """Keys of the object, and all words in the descriptions of its rows."""
    text = (ROOT / "docs" / "json.md").read_text()
    (section,) = re.findall(
        rf"\n## [^\n]*{heading}[^\n]*\n(.*?)(?=\n## |\Z)", text, re.S
    )
    keys, words = set(), set()
    for first, second in re.findall(r"^\| (`.+?) \| (.*) \|$", section, re.M):
        keys |= set(re.findall(r"`(\w+)`", first))
        words |= set(re.findall(r"`(\w+)`", second))
    return keys, words


def _compare(heading: str, found: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    keys, words = _documented(heading)
    assert found.keys() - {"version"} == keys
    assert "version" in found
    assert row.keys() <= words


def test_the_first_screen() -> None:
    _compare("ub --json", _state(), {k: 0 for k in _process(1) if k != "notes"})


def test_the_service() -> None:
    here = House('[[rule]]\nexe = "/nothing"')
    found = status(here.supervisor, "/etc/x.toml")
    _compare("ub service status", found, found["rules"][0])
    here.close()


def test_the_ranking() -> None:
    ranked = Ranked(7, "a", 0.5, 1e6, 0.0, 0.25, ())
    found = Machine((ranked,), 2.0, 0.0, models()["zen4"]).as_json()
    _compare("ub estimate", found, found["processes"][0])
