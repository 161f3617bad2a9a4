# SPDX-License-Identifier: GPL-2.0-only
"""Programs that were not written for this project: nobody must be able to tell."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.guest.conftest import Guest
from tests.guest.foreign import inputs, packages
from tests.guest.foreign.loads import LOADS
from tests.guest.foreign.play import ENOUGH
from tests.guest.foreign.table import PACKAGES, PROGRAMS


def case(name: str) -> Any:
    return pytest.param(name, marks=pytest.mark.guest(f"foreign-{name}"))


@pytest.mark.guest
@pytest.mark.parametrize("name", [case(name) for name in PROGRAMS])
def test_as_natively(guest: Guest, name: str) -> None:
    program = PROGRAMS[name]
    result = guest.result(f"foreign-{name}")
    if program.optional and "absent" in result:
        pytest.skip(f"{result['absent']} is not installed")
    native, default, last = result["native"], result["default"], result["forced"][-1]
    # It does what it is there for.
    assert native["shown"]["status"] in (0, -15, 143), native["shown"]["stderr"]
    assert native["shown"].get("load", ["status 0"])[-1] == "status 0"
    for run in (*result["forced"], default):
        assert run["shown"] == native["shown"]
    print(
        f"{name}: {last['calls']} calls, dispatched {last['dispatched']} forced, "
        f"{default['dispatched']} by default"
    )
    # Else the same outcome shows less than it seems to. No upper bound where the table
    # gives a reason for few dispatches: a fast machine builds more before the end.
    if not (program.varies or program.native):
        assert last["dispatched"] >= ENOUGH, last


@pytest.mark.guest(*(f"foreign-{name}" for name in PROGRAMS))
def test_boosting_was_forced(guest: Guest) -> None:
    """Programs whose outcome is the same prove something only if they were boosted."""
    results = {name: guest.result(f"foreign-{name}") for name in PROGRAMS}
    most = {
        name: max(run["dispatched"] for run in result["forced"])
        for name, result in results.items()
        if "absent" not in result
    }
    print(most)
    assert sum(most.values()) > 50_000
    assert sum(calls > 0 for calls in most.values()) >= 8


def test_each_line_can_be_done(tmp_path: Path) -> None:
    inputs.make_inputs(tmp_path / "input")
    for name, program in PROGRAMS.items():
        words = shlex.split(program.command)
        assert program.load in ("", *LOADS), name
        assert bool(program.load) <= (program.package != ""), name
        if program.stdin:
            assert (tmp_path / "input" / program.stdin).is_file(), name
        here = Path(__file__).parent / "programs"
        for word in words:
            if word.startswith("{here}/"):
                assert (here / word.removeprefix("{here}/")).is_file(), name


def test_inputs_are_the_same_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        inputs.make_inputs(tmp_path / name)
    contents = [
        {path.relative_to(tmp_path / name): path.read_bytes() for path in files}
        for name in ("one", "two")
        for files in [
            [path for path in (tmp_path / name).rglob("*") if path.is_file()],
        ]
    ]
    assert contents[0] == contents[1]
    assert len(contents[0]) > 60


def test_packages_are_linked_where_nothing_is(tmp_path: Path) -> None:
    tree, root = tmp_path / "tree", tmp_path / "root"
    for place in (tree, root):
        (place / "usr" / "bin").mkdir(parents=True)
    (tree / "usr" / "bin" / "new").write_text("new")
    (tree / "usr" / "bin" / "old").write_text("new")
    (root / "usr" / "bin" / "old").write_text("old")
    packages.link([tree], root)
    assert (root / "usr" / "bin" / "new").read_text() == "new"
    assert (root / "usr" / "bin" / "old").read_text() == "old"


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt-get")
def test_what_apt_would_install(monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        "Inst new (1.2-3 Debian:12/stable [amd64])\n"
        "Inst old [1.0] (1.1 Debian:12/stable [amd64])\n"
        "Conf new (1.2-3 Debian:12/stable [amd64])\n"
    )
    monkeypatch.setattr(packages, "_apt", lambda options, names: said)
    assert packages.missing(PACKAGES) == [("new", "1.2-3")]
