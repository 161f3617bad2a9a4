# SPDX-License-Identifier: GPL-2.0-only
"""Which selftests are run, and how: their arguments, time limits, exceptions."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.selftests.source import Source
from ubypass.errors import UbError

__all__ = ["COLLECTIONS", "LEFT_OUT", "Program", "build", "build_helpers", "jobs"]

#: By name, the directory below the selftests.
COLLECTIONS = {
    "x86": ("x86",),
    "seccomp": ("seccomp",),
    "rseq": ("rseq",),
    "ptrace": ("ptrace",),
    "membarrier": ("membarrier",),
    "futex": ("futex/functional",),
    "timers": ("timers",),
    "mm": ("mm", "vm"),
}

_HERE = Path(__file__).parent / "programs"
_LIMIT = 60.0  # seconds, of a program: emulated ones are slow

#: Programs that upstream's run_tests runs and that are not run here, and why: all of it
#: holds natively, too.
LEFT_OUT = {
    "timers/raw_skew": "compares clocks over two minutes; an emulator's are not even",
    "timers/nsleep-lat": "needs latencies that an emulator does not have",
    "timers/set-timer-lat": "needs latencies that an emulator does not have",
    "timers/rtcpie": "needs a real-time clock, which the lab has not",
    "seccomp/seccomp_benchmark": "measures times",
    "rseq/param_test_benchmark": "measures times",
    "rseq/param_test_mm_cid_benchmark": "measures times",
    "rseq/run_param_test.sh": "runs param_test for hours; it is run with fewer turns",
    "futex/functional/run.sh": "runs the other programs of this collection",
}

#: Programs beside those of upstream's run_tests, which runs them in scripts or not at
#: all; of mm all are, and only these are run.
_BESIDE = {
    "rseq": (
        "param_test",
        "param_test_compare_twice",
        "param_test_mm_cid",
        "param_test_mm_cid_compare_twice",
    ),
    "timers": ("set-tai", "set-tz", "valid-adjtimex"),
}
_MM = (
    *("cow", "droppable", "guard-regions", "madv_populate", "map_fixed_noreplace"),
    *("map_populate", "mdwe_test", "memfd_secret", "merge", "mkdirty"),
    *("mlock-random-test", "mlock2-tests", "mrelease_test", "mremap_dontunmap"),
    *("mremap_test", "mseal_test", "pagemap_ioctl", "pfnmap"),
    *("pkey_sighandler_tests_64", "prctl_thp_disable", "process_madv"),
    *("protection_keys_64", "rmap", "soft-dirty", "split_huge_page_test"),
    *("transhuge-stress", "uffd-stress", "uffd-unit-tests", "userfaultfd"),
    "va_high_addr_switch",
)
_ONLY = {"mm": _MM, "vm": _MM}

_REQUEUE = ("-b", "-l", "-b -l", "-b -o", "-l -o", "-b -l -o")

#: Arguments of programs that are run several times, where they take such.
_ARGUMENTS = {
    "futex/functional/futex_requeue_pi": ("", *_REQUEUE),
    "rseq/param_test": (
        *(f"-T {test} -t 2 -r 2000" for test in "slbimr"),
        *(f"-T {test} -t 2 -r 2000 -D 3" for test in "sm"),
        *(f"-T {test} -t 2 -r 2000 {how}" for test in "sm" for how in ("-k", "-y")),
    ),
    "rseq/param_test_compare_twice": ("-T s -t 2 -r 2000", "-T b -t 2 -r 2000"),
    "rseq/param_test_mm_cid": ("-T s -t 2 -r 2000", "-T b -t 2 -r 2000"),
    "rseq/param_test_mm_cid_compare_twice": ("-T s -t 2 -r 2000", "-T b -t 2 -r 2000"),
    "mm/transhuge-stress": ("-d 5",),
    "vm/transhuge-stress": ("-d 5",),
    "mm/uffd-stress": ("anon 20 16", "shmem 20 16"),
    "vm/userfaultfd": ("anon 20 16", "shmem 20 16"),
    "timers/threadtest": ("-n 2 -t 5",),
    "timers/inconsistency-check": ("-t 3",),
}

#: A text of upstream's harness.
_HARNESS = b"Starting %u tests from %u test cases."

_LIMITS = {
    "seccomp/seccomp_bpf": 600.0,
    "timers/nanosleep": 300.0,
    "x86/syscall_numbering_64": 300.0,
}


#: Seconds in single steps, at most: long enough for most programs to end. None for
#: 32-bit programs, of which nothing is translated.
_RECORD = 25
_RECORDS = {"seccomp/seccomp_bpf": 120}
_NARROW = "_32"


@dataclass(frozen=True)
class Program:
    """``name``: collection's directory and file.

    ``by_harness``: built with upstream's harness, which has arguments of its own.
    """

    directory: str
    name: str
    by_harness: bool = False

    @property
    def full(self) -> str:
        """With the directory."""
        return f"{self.directory}/{self.name}"


def build(
    source: Source, collection: str, directory: Path, report: Callable[[str], None]
) -> list[Program]:
    """Compile a collection, and the programs beside, into ``directory``/programs.

    ``collection``: a name, or several with ``+`` between them. What a compiler of this
    system cannot compile is left out; make's log is kept. Raises UbError if this kernel
    has no such collection.
    """
    out = directory / "programs"
    out.mkdir(parents=True, exist_ok=True)
    build_helpers(out)
    found: list[Program] = []
    for name in collection.split("+"):
        parts = [p for p in COLLECTIONS[name] if (source.selftests / p).is_dir()]
        if not parts:
            raise UbError(f"{source.version} has no selftests of {name}")
        report(f"compiling {name}")
        found += _make(source, parts[0], out)
    return found


def build_helpers(out: Path) -> None:
    """Compile ``steps`` and ``gate.so``."""
    _compile(["-o", str(out / "steps"), str(_HERE / "steps.c")])
    gate = ["-shared", "-fPIC", "-o", str(out / "gate.so"), str(_HERE / "gate.c")]
    _compile(gate)


def jobs(programs: Sequence[Program], only: Sequence[str] = ()) -> list[dict[str, Any]]:
    """What to run: a job for each program and each of its arguments."""
    return [
        {
            "name": f"{program.full} {arguments}".rstrip(),
            "directory": program.directory,
            "command": [f"./{program.name}", *shlex.split(arguments)],
            "timeout": _LIMITS.get(program.full, _LIMIT),
            "record": _record(program),
        }
        for program in programs
        if program.full not in LEFT_OUT
        if not only or any(word in program.full for word in only)
        for arguments in _arguments(program)
    ]


def _arguments(program: Program) -> tuple[str, ...]:
    return ("",) if program.by_harness else _ARGUMENTS.get(program.full, ("",))


def _record(program: Program) -> int:
    narrow = program.name.endswith(_NARROW)
    return 0 if narrow else _RECORDS.get(program.full, _RECORD)


def _compile(arguments: list[str]) -> None:
    subprocess.run(["gcc", "-O2", "-Wall", *arguments], check=True)


def _make(source: Source, part: str, out: Path) -> list[Program]:
    target = out / part
    target.mkdir(parents=True, exist_ok=True)
    headers = " ".join(f"-isystem {path}" for path in source.headers)
    common = [
        *("make", "-k", "-s", "-C", str(source.selftests / part)),
        *(f"OUTPUT={target}", f"KHDR_INCLUDES={headers} -L{source.libraries}"),
    ]
    environment = {
        **os.environ,
        "LIBRARY_PATH": str(source.libraries),
        "C_INCLUDE_PATH": ":".join(map(str, source.headers)),
    }
    with (target / "make.log").open("w") as log:
        subprocess.run(
            common, stdout=log, stderr=log, env=environment, stdin=subprocess.DEVNULL
        )
    listed = subprocess.run(
        [*common, "emit_tests", f"COLLECTION={part}"],
        capture_output=True,
        text=True,
        env=environment,
    ).stdout
    names = [line.partition(":")[2].rpartition("/")[2] for line in listed.splitlines()]
    found = []
    for name in filter(None, _ONLY.get(part, (*names, *_BESIDE.get(part, ())))):
        if not (target / name).exists() and (source.selftests / part / name).exists():
            shutil.copy2(source.selftests / part / name, target / name)
        if os.access(target / name, os.X_OK) and (target / name).is_file():
            by_harness = _HARNESS in (target / name).read_bytes()
            found.append(Program(part, name, by_harness))
    return list(dict.fromkeys(found))
