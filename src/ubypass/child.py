# SPDX-License-Identifier: GPL-2.0-only
"""Starts helper programs that never outlive this process.

Each helper leads a process group of its own, so that it ends together with its
children, and the kernel ends it if this process is killed. Independent of the programs.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["dies_with_us", "end", "run", "start"]

_PR_SET_PDEATHSIG = 1

# Loaded here, not in the child: after a fork only calls that take no lock are safe.
_libc = ctypes.CDLL(None, use_errno=True)


def dies_with_us(how: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """A ``preexec_fn`` for Popen: the child gets ``how`` when this process ends."""
    us = os.getpid()

    def ask() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(how))
        if os.getppid() != us:
            os._exit(1)  # the parent ended before the call of prctl

    return ask


class _Process(subprocess.Popen[Any]):
    """A Popen without a leaked child if a signal handler raises during its start."""

    def __init__(self, *args: Any, **options: Any) -> None:
        try:
            super().__init__(*args, **options)
        except BaseException:
            # No status yet: the child was started, and no caller can end it.
            if getattr(self, "pid", None) and self.returncode is None:
                end(self)
            raise


def start(
    command: Sequence[str], *, last: signal.Signals = signal.SIGKILL, **options: Any
) -> subprocess.Popen[Any]:
    """A Popen with these options; the caller must call :func:`end`.

    ``last``: the signal that the kernel sends if this process is killed; with SIGTERM a
    server can end its own processes.
    """
    return _Process(command, process_group=0, preexec_fn=dies_with_us(last), **options)


def end(process: subprocess.Popen[Any], how: signal.Signals = signal.SIGKILL) -> int:
    """End a started program by ``how``, then kill the rest of its group.

    Waits for the end of the program; if the wait is interrupted, the program is killed.
    Returns the status, as Popen does.
    """
    if process.returncode is not None:
        return int(process.returncode)
    try:
        if how is not signal.SIGKILL:
            # Not by Popen, which would reap an ended child: until then the PID, also
            # the number of the group, cannot be reused.
            os.kill(process.pid, how)
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        # A child that was just forked does not lead its group yet.
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        status = process.wait()
    return status


def run(
    command: Sequence[str], *, capture_output: bool = False, **options: Any
) -> subprocess.CompletedProcess[Any]:
    """As subprocess.run, without ``check``, ``input`` and ``timeout``.

    ``stdin`` is empty by default. In text mode undecodable bytes are replaced.
    """
    options.setdefault("stdin", subprocess.DEVNULL)
    if options.get("text"):
        options.setdefault("errors", "replace")
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start(command, **options) as process:
        try:
            out, err = process.communicate()
        except BaseException:
            end(process)
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)
