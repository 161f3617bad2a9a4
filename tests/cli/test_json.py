# SPDX-License-Identifier: GPL-2.0-only
"""``docs/json.md`` has each key, and no other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cli.conftest import TunableDevice
from tests.cli.gate import Gate
from tests.cli.test_estimate_report import _estimate
from tests.cli.test_first import _process, _state
from tests.engine.fakes import FakeDevice
from tests.places import ROOT
from tests.service.played import House
from ubypass.cli import stats
from ubypass.cli.module import files
from ubypass.cost.model import models
from ubypass.device.tunables import TUNABLES
from ubypass.device.types import Site
from ubypass.device.uapi import SiteVerdict, Tunable
from ubypass.estimate.machine import Machine, Ranked
from ubypass.service.requests import status

Ub = Callable[..., int]
_DOCUMENT = ROOT / "docs" / "json.md"
_FIGURES = "Figures of a process"
#: Of the section's second table.
_WATCH = dict.fromkeys(
    [
        *("pid", "calls", "dispatched", "bypass_rate", "exits", "loads"),
        *("regions", "code_bytes"),
    ]
)


def _section(heading: str) -> str:
    (section,) = re.findall(
        rf"\n## {re.escape(heading)}(?: \(version 1\))?\n(.*?)(?=\n## |\Z)",
        _DOCUMENT.read_text(),
        re.S,
    )
    return str(section)


def _documented(heading: str) -> tuple[set[str], set[str]]:
    """Keys of the object, and all words in the descriptions of its rows."""
    keys, words = set(), set()
    for first, second in re.findall(r"^\| (`.+?) \| (.*) \|$", _section(heading), re.M):
        keys |= set(re.findall(r"`(\w+)`", first))
        words |= set(re.findall(r"`(\w+)`", second))
    return keys, words


def _compare(
    heading: str,
    found: Mapping[str, Any],
    *rows: Mapping[str, Any],
    version: bool = True,
) -> None:
    """``rows``: objects inside, whose keys the descriptions name."""
    keys, words = _documented(heading)
    assert found.keys() - {"version"} == keys
    assert found.get("version") == (1 if version else None)
    for row in rows:
        assert row
        assert row.keys() <= words


def _printed(ub: Ub, capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    ub(*words)
    return json.loads(capsys.readouterr().out)


def test_every_object_has_a_version() -> None:
    headings = re.findall(r"^## (.*)$", _DOCUMENT.read_text(), re.M)
    assert len(headings) > 10
    without = [each for each in headings if not each.endswith("(version 1)")]
    assert without == [_FIGURES]


def test_the_first_screen() -> None:
    _compare("`ub --json`", _state(), {k: 0 for k in _process(1) if k != "notes"})


def test_the_service() -> None:
    here = House('[[rule]]\nexe = "/nothing"')
    found = status(here.supervisor, "/etc/x.toml")
    _compare("`ub service status --json`", found, found["rules"][0])
    here.close()


def test_the_ranking() -> None:
    ranked = Ranked(7, "a", 0.5, 1e6, 0.0, 0.25, ())
    found = Machine((ranked,), 2.0, 0.0, models()["zen4"]).as_json()
    heading = "`ub estimate --json`, without a process"
    _compare(heading, found, found["processes"][0])


def test_the_estimate_of_a_process() -> None:
    found = _estimate().as_json()
    heading = "`ub estimate --json` with a process or a command"
    _compare(heading, found, found["processes"][0], found["model"])
    assert found["share"].keys() <= set(re.findall(r"`(\w+)`", _section(heading)))


def test_the_checks(ub: Ub, capsys: pytest.CaptureFixture[str]) -> None:
    found = _printed(ub, capsys, "doctor", "--json")
    _compare("`ub doctor --json`", found, *found["checks"])


@pytest.mark.parametrize("loaded", [False, True])
def test_the_module(
    ub: Ub,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    loaded: bool,
) -> None:
    class Played(TunableDevice):
        def __enter__(self) -> Played:
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

    monkeypatch.setattr(files, "_LOADED", ROOT if loaded else ROOT / "nothing")
    monkeypatch.setattr("ubypass.device.client.Device", Played)
    found = _printed(ub, capsys, "module", "status", "--json")
    _compare("`ub module status --json`", found, *found["tunables"].values())
    assert len(found["tunables"]) == len(TUNABLES)
    gap = found["tunables"][Tunable.GAP_NS.name.lower()]
    assert gap["present"] == (4000 if loaded else None)
    assert found["why"] == ""


def test_boosted_processes(
    ub: Ub, running: FakeDevice, capsys: pytest.CaptureFixture[str]
) -> None:
    found = _printed(ub, capsys, "stats", "--json")
    (process,) = found["processes"]
    _compare(
        "`ub stats --json`", {k: found[k] for k in ("version", "processes")} | _WATCH
    )
    assert process.pop("engine_pid")
    _compare(_FIGURES, process, version=False)


def test_boosted_processes_again_and_again(
    ub: Ub,
    running: FakeDevice,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def sleep(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stats, "time", SimpleNamespace(sleep=sleep))
    found = _printed(ub, capsys, "stats", "--watch", "--json")
    assert found.keys() == {"version", *_WATCH}
    assert found["version"] == 1


def test_decisions(
    ub: Ub, running: FakeDevice, capsys: pytest.CaptureFixture[str]
) -> None:
    running.known_sites = [Site(0x401002, 39, SiteVerdict.ENTRY)]
    found = _printed(ub, capsys, "explain", "--json", 4242)
    _compare("`ub explain PROCESS --json`", found, *found["sites"])
    region = _printed(ub, capsys, "explain", "--json", 1)
    parts = [part for key in ("entries", "exits", "lines") for part in region[key]]
    _compare("`ub explain REGION --json`", region, *parts)
    assert found["regions"][0].keys() == region.keys() - {"version"}


def test_the_summary_of_a_run(
    ub: Ub, device: TunableDevice, gate: Gate, capfd: pytest.CaptureFixture[str]
) -> None:
    gate.open_when(lambda: device.attached)
    ub("run", "--json", "--", "sh", "-c", f"{gate.shell}; sleep 0.2")
    found = json.loads(capfd.readouterr().err)
    _compare("`ub run --json` and `ub attach --json`", found)
    (process,) = found["processes"]
    _compare(_FIGURES, process, version=False)
