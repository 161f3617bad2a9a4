# SPDX-License-Identifier: GPL-2.0-only
"""What a caller can ask of the lab, and what it gets back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["STATUS_LOG_PROBLEM", "STATUS_TIMEOUT", "LabOptions", "LabResult"]

# sysexits.h EX_SOFTWARE; and what timeout(1) returns.
STATUS_LOG_PROBLEM = 70
STATUS_TIMEOUT = 124


@dataclass(frozen=True)
class LabOptions:
    """How to run the machine; the defaults suit tests.

    ``kernel``: release, None for Debian's current one, or with ``suite`` (``trixie``)
    for that of the suite. ``icount``: count instructions,
    one per virtual nanosecond, repeatably (always one CPU, always emulated). ``cpus``:
    None for 2, or 1 with ``icount``. ``cpu``: as QEMU calls it. ``memory``: as QEMU
    takes it. ``append``: further kernel parameters. ``disk``: a file, or a size such
    as ``1G`` for an empty disk that is gone afterwards; the guest's /dev/vda.
    ``timeout``, ``boot_timeout``: seconds of real time. ``log_check``: fail when the
    kernel complains. ``share``: further host directories that the guest may write to.
    ``environment``: further variables.
    """

    kernel: str | None = None
    suite: str | None = None
    icount: bool = False
    cpus: int | None = None
    cpu: str = "max"
    memory: str = "2G"
    append: tuple[str, ...] = ()
    disk: str | None = None
    timeout: float = 1200.0
    boot_timeout: float = 90.0
    log_check: bool = True
    share: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def cpu_count(self) -> int:
        """Virtual CPUs: as asked for, but one when instructions are counted."""
        if self.icount:
            return 1
        return 2 if self.cpus is None else self.cpus


@dataclass(frozen=True)
class LabResult:
    """How a run ended.

    ``status`` is the command's exit status (128 + signal if killed), or
    `STATUS_LOG_PROBLEM` when the machine died under it. ``stdout`` and ``stderr`` are
    empty unless captured. ``log_problems``: complaints of the kernel since the command
    started. ``dmesg``: the guest's whole log. ``boot_seconds``: real time from
    starting the machine to starting the command.
    """

    status: int
    stdout: bytes
    stderr: bytes
    log_problems: tuple[str, ...]
    dmesg: str
    boot_seconds: float

    @property
    def exit_status(self) -> int:
        """What a command line should return: the kernel's complaints count."""
        return STATUS_LOG_PROBLEM if self.log_problems else self.status
