# SPDX-License-Identifier: GPL-2.0-only
"""``docs/json.md`` has each key, and no other."""

from __future__ import annotations

import argparse
import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.bench.samples import record
from tests.calibrate.made import calibration
from tests.cli.conftest import TunableDevice
from tests.cli.gate import Gate
from tests.cli.test_estimate_report import _estimate
from tests.cli.test_first import _process, _state
from tests.coverage.build import shared
from tests.engine.fakes import FakeDevice
from tests.places import ROOT
from tests.service.played import House
from ubypass import calibrate, processor
from ubypass.bench.records import FILE_VERSION, versioned
from ubypass.cli import selftest, stats
from ubypass.cli.in_turn import print_matches
from ubypass.cli.main import parser
from ubypass.cli.module import files
from ubypass.cost.model import models
from ubypass.device import client
from ubypass.device.tunables import TUNABLES
from ubypass.device.types import Site
from ubypass.device.uapi import SiteVerdict, Tunable
from ubypass.estimate.machine import Machine, Ranked
from ubypass.service.requests import status

Ub = Callable[..., int]
#: Of all events.
_ALWAYS = {"event", "level", "suppressed"}
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


def _with_json(above: argparse.ArgumentParser) -> Iterator[tuple[str, bool]]:
    """Each verb that has ``--json``, and whether it writes that to a file."""
    for action in above._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _with_json(below)
        elif "--json" in action.option_strings:
            yield above.prog, action.metavar == "FILE"


def test_every_verb_with_the_option_is_documented() -> None:
    verbs = list(_with_json(parser()))
    assert len(verbs) > 20
    headings = " ".join(re.findall(r"^## (.*)$", _DOCUMENT.read_text(), re.M))
    records = _section("Files of `ub bench --json FILE`")
    for verb, is_file in verbs:
        if is_file:
            first, _, last = verb.rpartition(" ")
            first = first if first != "ub bench" else ""
            assert f"`{verb}`" in records or (f"`{first} " in records and last), verb
        else:
            assert re.search(rf"`{verb}(?: [A-Z]+)? --json`", headings), verb
    # The other way round.
    names = {verb for verb, _ in verbs}
    documented = re.findall(r"`(ub[ a-z]*?)(?: [A-Z]+)? --json`", headings)
    assert {"ub", *names} >= set(documented)


def test_every_section_is_compared_here() -> None:
    source = Path(__file__).read_text("utf-8")
    for heading in re.findall(
        r"^## (.*?)(?: \(version 1\))?$", _DOCUMENT.read_text(), re.M
    ):
        assert f'"{heading}"' in source or heading == _FIGURES, heading


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


def test_several(capsys: pytest.CaptureFixture[str]) -> None:
    print_matches(1, [{"pid": 7, "name": "a"}])
    found = json.loads(capsys.readouterr().out)
    _compare("Several processes", found, *found["matches"])


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
    gate.open_when(lambda: device.observed)
    ub("run", "--json", "--", "sh", "-c", f"{gate.shell}; sleep 0.2")
    found = json.loads(capfd.readouterr().err)
    _compare("`ub run --json` and `ub attach --json`", found)
    (process,) = found["processes"]
    _compare(_FIGURES, process, version=False)


def test_the_verdict(
    ub: Ub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "Device", nullcontext)
    copied = selftest.Copied(1 << 20, 1 << 20, 0, True)
    monkeypatch.setattr(selftest, "_copy", lambda directory, size: copied)
    _compare("`ub selftest --json`", _printed(ub, capsys, "selftest", "--json"))


def test_the_store(ub: Ub, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    keys, place = tmp_path / "keys", tmp_path / "store"
    place.mkdir(mode=0o755)
    keys.mkdir()
    assert ub("store", "keygen", keys) == 0
    config = tmp_path / "config.toml"
    public = keys / "store.pub"
    config.write_text(f'[store]\nplace = "{place}"\npublic_key = "{public}"\n')
    capsys.readouterr()
    found = _printed(ub, capsys, "store", "status", "--json", "--config", config)
    _compare("`ub store status --json`", found)


def _said(path: Path) -> Iterator[set[str]]:
    """Keys of each event that a module writes to the journal."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(attr="say"), keywords=keywords):
                yield {each.arg for each in keywords if each.arg is not None}


def test_the_journal() -> None:
    source = ROOT / "src" / "ubypass"
    places = [*(source / "service").glob("*.py"), source / "cli" / "service" / "run.py"]
    events = [keys for path in places for keys in _said(path)]
    assert len(events) > 10
    heading = "`ub service run --json`"
    _compare(heading, dict.fromkeys(set().union(*events) | _ALWAYS) | {"version": 1})


def test_code_of_a_file(
    ub: Ub, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code = "f: mov $39, %eax\nsyscall\ng: dec %rbx\njnz f\nret\n"
    library = shared(f".text\n.globl f\n.type f, @function\n{code}", tmp_path)
    found = _printed(ub, capsys, "translate", "--json", library, "f+7")
    parts = [part for key in ("dispatches", "exits", "lines") for part in found[key]]
    assert found["dispatches"]
    _compare("`ub translate --json`", found, *parts)


def test_translatable_shares(
    ub: Ub, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code = "cpuid\nret\n"
    library = shared(
        f".text\n.globl f\n.type f, @function\nf: {code}.size f, .-f\n", tmp_path
    )
    found = _printed(ub, capsys, "coverage", "--json", library)
    (file,) = found["files"]
    _compare("`ub coverage --json`", found, file, *file["blockers"])


def test_costs_of_this_cpu(
    ub: Ub,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("UBYPASS_CACHE", str(tmp_path))
    monkeypatch.setattr(calibrate, "measure", lambda: calibration(rounds=1))
    monkeypatch.setattr(processor, "is_emulated", lambda: False)
    found = _printed(ub, capsys, "calibrate", "--json")
    _compare("`ub calibrate --json`", found, *found["transitions"])
    assert found["cycle"].keys() == {"ns", "spread"}
    depth = found["transitions"][0]["by_depth"][0]
    assert depth.keys() == {"returns", "ns", "spread"}


def test_records_of_measurements() -> None:
    section = _section("Files of `ub bench --json FILE`")
    classes = re.findall(r"`(\w+)`, `(src/[\w/]+\.py)`", section)
    assert len(classes) == 11
    for name, path in classes:
        (found,) = (
            node
            for node in ast.parse((ROOT / path).read_text("utf-8")).body
            if isinstance(node, ast.ClassDef) and node.name == name
        )
        assert len(ast.get_docstring(found) or "") > 50
    assert versioned(record().as_json())["record_version"] == FILE_VERSION == 1
