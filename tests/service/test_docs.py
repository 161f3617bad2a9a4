# SPDX-License-Identifier: GPL-2.0-only
"""What operators read names what there is."""

from __future__ import annotations

import re

from tests.packaging.test_metrics import metrics
from tests.places import ROOT
from ubypass.service.config import Limits
from ubypass.service.rules import Rule

_DOCS = (ROOT / "docs" / "service.md").read_text()
_SOURCES = [
    *(ROOT / "src" / "ubypass" / "service").glob("*.py"),
    *(ROOT / "src" / "ubypass" / "cli" / "service").glob("*.py"),
]


def _rows(heading: str) -> list[str]:
    """First columns of the table under a heading."""
    section = _DOCS.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)


def test_every_event_of_the_journal() -> None:
    said = {
        event
        for source in _SOURCES
        for event in re.findall(r"\.say\(\s*\"([\w-]+)\"", source.read_text())
    }
    told = {word for row in _rows("Journal") for word in re.findall(r"`(.+?)`", row)}
    assert said == told


def test_every_criterion_and_every_limit() -> None:
    rows = {w for row in _rows("Configuration") for w in re.findall(r"`(.+?)`", row)}
    criteria = set(Rule.__slots__) - {"name", "boost", "children", "trust", "uids"} | {
        "user"
    }
    assert rows == criteria | set(Limits.__slots__)


def test_metrics_exist() -> None:
    section = _DOCS.split("\n## Metrics\n")[1].split("\n## ")[0]
    names = re.findall(r"`(?:ubypass)?(_\w+)`", section)
    assert len(names) > 15
    assert {f"ubypass{name}" for name in names} <= metrics().keys()
