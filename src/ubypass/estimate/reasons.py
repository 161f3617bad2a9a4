# SPDX-License-Identifier: GPL-2.0-only
"""Reasons that keep the module from boosting a process, as far as ``/proc`` shows them.

The module checks the kernel's own state (``engine/declines.py`` has the texts for all
reasons). Audit rules, breakpoints and ``ITIMER_VIRTUAL`` do not show in ``/proc``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ubypass.device.uapi import Decline
from ubypass.engine.declines import HINTS, REASONS

__all__ = ["Reason", "declined", "tracer"]

_VIRTUAL, _CLOCK_MASK = 1, 3  # of a CPU clock's number (posix-timers.h)
_FILTERS = "2"  # SECCOMP_MODE_FILTER; 1 is strict mode
_BTF = Path("/sys/kernel/btf/vmlinux")
_KVM = "anon_inode:kvm-vcpu"


@dataclass(frozen=True, slots=True)
class Reason:
    """``name`` for programs, ``text`` for people, ``hint``: the remedy.

    ``lasting``: while the reason holds, nothing is boosted.
    """

    name: str
    text: str
    hint: str = ""
    lasting: bool = False


def declined(
    pid: int, proc: Path = Path("/proc"), btf: Path = _BTF
) -> tuple[Reason, ...]:
    """Why all runs of process ``pid`` would be declined; empty if nothing shows.

    ``btf``: the file of the kernel's type information; without the file the module
    cannot evaluate seccomp filters.
    """
    status = _status(proc / str(pid) / "status")
    found = []
    mode = status.get("Seccomp", "0")
    if mode != "0" and not (mode == _FILTERS and btf.exists()):
        found.append(Decline.SECCOMP)
    if status.get("TracerPid", "0") != "0":
        found.append(Decline.PTRACE)
    if "shstk" in status.get("x86_Thread_features", ""):
        found.append(Decline.SHADOW_STACK)
    if _times_user(proc / str(pid) / "timers"):
        found.append(Decline.USER_TIME)
    if _has_vcpu(proc / str(pid) / "fd"):
        found.append(Decline.VCPU)
    return tuple(
        Reason(which.name.lower(), REASONS[which], HINTS[which], lasting=True)
        for which in found
    )


def tracer(pid: int, proc: Path = Path("/proc")) -> int:
    """The process that traces ``pid``; 0 if none does."""
    word = _status(proc / str(pid) / "status").get("TracerPid", "0")
    return int(word) if word.isdigit() else 0


def _status(path: Path) -> Mapping[str, str]:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    rows = (line.partition(":") for line in lines)
    return {name: value.strip() for name, _, value in rows}


def _times_user(path: Path) -> bool:
    """Whether a timer of ``timer_create`` measures user time."""
    try:
        clocks = re.findall(r"^ClockID: (-\d+)$", path.read_text(), re.MULTILINE)
    except OSError:
        return False
    return any(int(clock) & _CLOCK_MASK == _VIRTUAL for clock in clocks)


def _has_vcpu(path: Path) -> bool:
    try:
        return any(_link(entry.path).startswith(_KVM) for entry in os.scandir(path))
    except OSError:
        return False


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
