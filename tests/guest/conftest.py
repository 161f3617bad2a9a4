# SPDX-License-Identifier: GPL-2.0-only
"""Boots the lab for many tests and gives each test its case's result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.guest.foreign.musl import build_static
from tests.guest.foreign.packages import fetch
from tests.guest.foreign.play import PACKAGE_LIST
from tests.guest.foreign.table import PACKAGES
from tests.guest.libc import prepare_newer
from tests.guest.program import PROGRAMS
from tests.guest.runner import CASES
from tests.patient import PATIENT
from tests.places import ROOT
from tests.scopes import shared_boots
from ubypass.bench.workloads import build_program
from ubypass.errors import UbError
from ubypass.lab import kernels
from ubypass.lab.run import capture
from ubypass.module.build import build_module
from ubypass.places import kernel_sources, module_file

_SOURCES = Path(__file__).parent / "programs"
_RESULTS = ROOT / "build" / "tests" / "guest.jsonl"

#: Each boot that dies costs its case only; after so many we give up.
_BOOTS = 4

#: What needs two processors to be a test. The others get one: QEMU switches between
#: emulated processors every 100 ms only, which all that waits for another feels.
_PARALLEL = frozenset(
    name
    for name in CASES
    if name.startswith("remap-")
    or name in ("two-processes", "four-threads", "trusted-threads")
    or name.startswith("seccomp-other")
    or name in ("fork-exec", "family", "namespace", "watch-other", "membarrier")
)

#: A boot of their own: their packages are linked into the guest's file system.
_FOREIGN = frozenset(name for name in CASES if name.startswith("foreign-"))

#: A CPU that hangs in the kernel ends the boot, so that the next case gets its turn.
_PARAMETERS = ("softlockup_panic=1",)

#: Why programs with a filter stay native on a kernel of one's own.
BTF = "filters are found by its type information (BTF)"

_SCRIPT = '"$1" -m ubypass.cli.main module load >&2 && exec "$1" -m "$2" "$3" $4'


@dataclass
class Guest:
    """What the runner has reported, by case, and what the host saw of each boot."""

    lines: dict[str, dict[str, Any]] = field(default_factory=dict)
    log_problems: list[str] = field(default_factory=list)

    def result(self, case: str) -> dict[str, Any]:
        """The case's result; fails if there is none or the log is not clean."""
        line = self.lines.get(case)
        if line is None:
            pytest.fail(f"the guest never got to the case {case}")
        if "error" in line:
            pytest.fail(f"{case}: {line['error']}", pytrace=False)
        assert line["log_problems"] == [], f"the kernel complained during {case}"
        result: dict[str, Any] = line["result"]
        return result


def case(name: str) -> Any:
    """A parameter for tests that look at the result of one case."""
    marks = [pytest.mark.guest(name)]
    if name.endswith("-filtered"):
        marks.append(pytest.mark.stock(BTF))
    return pytest.param(name, marks=marks)


@pytest.fixture(scope="session")
def boots_of_programs(request: pytest.FixtureRequest) -> Guest:
    """See `tests.scopes`."""
    return _all_cases(request.session.items, "programs")


@pytest.fixture(scope="session")
def boots_of_service(request: pytest.FixtureRequest) -> Guest:
    """See `tests.scopes`."""
    return _all_cases(request.session.items, "service")


@pytest.fixture
def guest(request: pytest.FixtureRequest) -> Guest:
    """The cases that the selected tests of these boots ask for, run in the lab.

    They do so with arguments of their mark: ``guest("fault-read")``.
    """
    boots = shared_boots(request.node.nodeid)
    found: Guest = request.getfixturevalue(f"boots_of_{boots}")
    return found


def _all_cases(items: list[pytest.Item], boots: str) -> Guest:
    wanted = {
        case
        for item in items
        if item.get_closest_marker("skip") is None
        and shared_boots(item.nodeid) == boots
        for mark in item.iter_markers("guest")
        for case in mark.args
    }
    names = [name for name in CASES if name in wanted]
    _prepare_for(names)
    return _run_cases(names, _RESULTS.with_stem(f"guest-{boots}"))


def _prepare_for(names: list[str]) -> None:
    """Fetch and compile what these cases need."""
    prepare()
    if "redis-suite" in names:
        subprocess.run([ROOT / "tools" / "redis-source.sh"], check=True)
    if _FOREIGN.intersection(names):
        prepare_foreign()
    if "one-site-musl" in names:
        prepare_musl()
    if "one-address" in names:
        prepare_newer()


def prepare_foreign() -> None:
    """Fetch foreign programs, compile those that are not packaged."""
    trees = fetch(PACKAGES, ROOT / "build" / "tests" / "packages")
    build_static(_SOURCES / "copy.c", PROGRAMS / "copy-musl", [Path("/"), *trees])
    PACKAGE_LIST.write_text("".join(f"{tree}\n" for tree in trees))


def prepare_musl() -> None:
    """Compile what is to be statically linked against musl."""
    trees = fetch(["musl-dev"], ROOT / "build" / "tests" / "packages")
    roots = [Path("/"), *trees]
    build_static(_SOURCES / "onesite.c", PROGRAMS / "onesite-musl", roots)


def build_programs() -> None:
    """Compile the test programs into the place where the guest finds them."""
    for source in sorted(_SOURCES.glob("*.c")):
        flags = ["-pthread"]
        if source.stem == "tiny32":
            flags = ["-m32", "-nostdlib", "-static", "-ffreestanding"]
        build_program(source, PROGRAMS / source.stem, *flags)
    build_program(ROOT / "tests" / "kernel" / "loop.c", PROGRAMS / "loop")


def prepare() -> None:
    """Compile what the guest will run."""
    build_programs()
    release = kernels.default_release()
    build_module(release, kernel_sources(), module_file(release).parent)


def _run_cases(names: list[str], results: Path) -> Guest:
    guest = Guest()
    others = CASES.keys() - _PARALLEL - _FOREIGN
    for cpus, cases in ((2, _PARALLEL), (1, others), (1, _FOREIGN)):
        for _ in range(_BOOTS):
            left = [n for n in names if n in cases and n not in guest.lines]
            if not left:
                break
            why = _boot(left, guest, cpus, results)
            unfinished = [name for name in left if name not in guest.lines]
            if unfinished:
                # The first that did not report is the one that was running.
                guest.lines[unfinished[0]] = {"error": f"the guest died: {why}"}
    return guest


def _boot(names: list[str], guest: Guest, cpus: int, results: Path) -> str:
    """Run cases in a fresh guest; why it ended, if not all of them ran."""
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text("")
    command = [
        *("sh", "-c", _SCRIPT, "sh", sys.executable),
        *("tests.guest.runner", str(results), " ".join(names)),
    ]
    environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    try:
        result = capture(
            command,
            replace(
                PATIENT,
                cpus=cpus,
                environment=environment,
                append=_PARAMETERS,
            ),
        )
    except UbError as error:
        why = error.message
    else:
        guest.log_problems += result.log_problems
        said = result.stderr.decode(errors="replace").splitlines()[-3:]
        why = "; ".join([*result.log_problems, *said])
    for line in results.read_text().splitlines():
        data = json.loads(line)
        guest.lines[data["case"]] = data
    return why
