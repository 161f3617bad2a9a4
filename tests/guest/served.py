# SPDX-License-Identifier: GPL-2.0-only
"""The daemon in the guest, with what its unit leaves it, and programs for its rules."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.guest.boost import NotBoosted
from tests.guest.cases import DATA_FILE, start
from tests.guest.command import UB, dispatched
from tests.guest.program import ACT, END
from tests.guest.waiting import wait
from tests.places import ROOT

__all__ = [
    "CONFIG",
    "SPIN",
    "USER",
    "boosted",
    "copying",
    "daemon",
    "listens",
    "native",
]

SPIN = ("spin", DATA_FILE)

# An emulator is slow: no share of its CPU would be enough, and no process waits.
CONFIG = """
[service]
scan_seconds = 0.2
[limits]
cpu_percent = 100
memory_mib = 4096
[metrics]
interval_seconds = 1
[tune]
grace_ms = 0
share_bits = 0
[[rule]]
name = "by-path"
exe = "{exe}"
[[rule]]
name = "by-user"
user = {user}
"""
USER = 4711
_UNIT = ROOT / "debian" / "ubypass.service"
_COPY = ("dd", "if=/dev/zero", "of=/dev/null", "bs=64")


@contextlib.contextmanager
def copying() -> Iterator[subprocess.Popen[bytes]]:
    """A program of another user that makes nothing but calls."""
    words = ["setpriv", f"--reuid={USER}", "--clear-groups", "nice", *_COPY]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as copy:
        try:
            yield copy
        finally:
            copy.kill()


def _confined() -> list[str]:
    """Words that run a command with the capabilities that the unit leaves."""
    (line,) = re.findall(r"^CapabilityBoundingSet=(.+)$", _UNIT.read_text(), re.M)
    names = [f"+{name.removeprefix('CAP_').lower()}" for name in line.split()]
    bound = ",".join(["-all", *names])
    return ["setpriv", f"--bounding-set={bound}", "--inh-caps=-all", "--no-new-privs"]


@contextlib.contextmanager
def daemon(
    config: Path, textfile: Path, command: Sequence[str] = UB
) -> Iterator[subprocess.Popen[bytes]]:
    words = ["service", "run", "--config", str(config), "--textfile", str(textfile)]
    with config.with_name("journal").open("a") as journal:
        process = subprocess.Popen([*_confined(), *command, *words], stderr=journal)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def boosted(daemon: subprocess.Popen[bytes]) -> None:
    if not wait(lambda: dispatched() > 1000):
        raise NotBoosted(f"ub service: {daemon.poll()}, {dispatched()} calls")


def listens() -> bool:
    """Whether a daemon serves requests."""
    return Path("/run/ubypass/service").exists()


def native() -> dict[str, object]:
    """What a spinning program shows when nobody touches it."""
    with start([SPIN]) as (program,):
        wait(lambda: program.is_warm)
        program.stage(ACT)
        program.stage(END)
        wait(lambda: program.ended)
        return program.outcome()
