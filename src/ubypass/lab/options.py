# SPDX-License-Identifier: GPL-2.0-only
"""The options of a run in the lab, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["STATUS_LOG_PROBLEM", "STATUS_TIMEOUT", "LabOptions", "LabResult"]

# EX_SOFTWARE of sysexits.h; and the status of timeout(1).
STATUS_LOG_PROBLEM = 70
STATUS_TIMEOUT = 124

# All features of the emulator.
_CPU = "max"

# Without fast strings: the emulator counts each repetition of a rep prefix, so a copy
# of 4 KiB by "rep movsb" takes 4,096 instructions, of which a processor executes dozens
# in a cycle. Without them kernel and libc copy by words and vectors.
_CPU_COUNTED = "max,-erms,-fsrm"


@dataclass(frozen=True)
class LabOptions:
    """How to run the machine; the defaults suit tests.

    ``kernel``: release, None for Debian's current one, or with ``suite`` (``trixie``)
    for the current one of the suite. ``icount``: count instructions, one per virtual
    nanosecond, repeatably (always one CPU, always emulated). ``cpus``: None for 2, or 1
    with ``icount``. ``cpu``: QEMU's name of the model, None for the choice of
    `cpu_model`. ``pti``: whether the kernel switches page tables at system calls, None
    for the kernel's own choice on this CPU; ``mitigations``: the kernel parameter.
    ``memory``: QEMU's argument. ``append``: further kernel parameters. ``disk``: a
    file, or a size such as ``1G`` for an empty temporary disk; the guest's /dev/vda.
    ``timeout``, ``boot_timeout``: seconds of real time. ``log_check``: fail when the
    kernel complains. ``share``: further host directories that the guest may write to.
    ``environment``: further variables.
    """

    kernel: str | None = None
    suite: str | None = None
    icount: bool = False
    cpus: int | None = None
    cpu: str | None = None
    pti: bool | None = None
    mitigations: str | None = None
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
        """The number of virtual CPUs: as requested, but 1 with ``icount``."""
        if self.icount:
            return 1
        return 2 if self.cpus is None else self.cpus

    @property
    def cpu_model(self) -> str:
        """QEMU's name of the CPU; with ``icount`` by default a CPU without fast string
        operations, so that counts of copies are meaningful.
        """
        if self.cpu is not None:
            return self.cpu
        return _CPU_COUNTED if self.icount else _CPU

    @property
    def parameters(self) -> tuple[str, ...]:
        """All further parameters of the kernel; ``append`` comes last and wins."""
        found = []
        if self.pti is not None:
            found.append("pti=on" if self.pti else "nopti")
        if self.mitigations is not None:
            found.append(f"mitigations={self.mitigations}")
        return (*found, *self.append)


@dataclass(frozen=True)
class LabResult:
    """How a run ended.

    ``status``: the command's exit status (128 + signal if killed), or
    `STATUS_LOG_PROBLEM` if the machine died meanwhile. ``stdout`` and ``stderr``: empty
    unless captured. ``log_problems``: complaints of the kernel since the start of the
    command. ``dmesg``: the guest's whole log. ``boot_seconds``: real time from the
    start of the machine to the start of the command.
    """

    status: int
    stdout: bytes
    stderr: bytes
    log_problems: tuple[str, ...]
    dmesg: str
    boot_seconds: float

    @property
    def exit_status(self) -> int:
        """The exit status of a command line, including the kernel's complaints."""
        return STATUS_LOG_PROBLEM if self.log_problems else self.status
