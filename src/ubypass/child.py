# SPDX-License-Identifier: GPL-2.0-only
"""Starts helper programs that never outlive us.

Each is the leader of a process group of its own, so that it ends together with what it
has started, and the kernel ends it if we are killed outright. Knows nothing of what is
run.
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
    """For ``preexec_fn`` of a Popen: the child gets ``how`` when we end."""
    us = os.getpid()

    def ask() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(how))
        if os.getppid() != us:
            os._exit(1)  # we ended before we could ask

    return ask


class _Process(subprocess.Popen[Any]):
    """One that does not stay behind when a signal handler raises while it starts."""

    def __init__(self, *args: Any, **options: Any) -> None:
        try:
            super().__init__(*args, **options)
        except BaseException:
            # Without a status it has been started, and nobody else knows of it.
            if getattr(self, "pid", None) and self.returncode is None:
                end(self)
            raise


def start(
    command: Sequence[str], *, last: signal.Signals = signal.SIGKILL, **options: Any
) -> subprocess.Popen[Any]:
    """A Popen with these options; whoever starts it calls :func:`end`.

    ``last``: the signal that the kernel sends it should we be killed; with SIGTERM a
    server can end its own processes.
    """
    return _Process(command, process_group=0, preexec_fn=dies_with_us(last), **options)


def end(process: subprocess.Popen[Any], how: signal.Signals = signal.SIGKILL) -> int:
    """End a started program by ``how``, then all that is left of its group.

    Returns its status, as Popen does. Waits for it: interrupted, it is killed.
    """
    if process.returncode is not None:
        return int(process.returncode)
    try:
        if how is not signal.SIGKILL:
            # Not by Popen, which would reap one that has ended: until then its number,
            # which is the group's, stays its own.
            os.kill(process.pid, how)
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        # One that was just forked does not lead its group yet.
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        status = process.wait()
    return status


def run(
    command: Sequence[str], *, capture_output: bool = False, **options: Any
) -> subprocess.CompletedProcess[Any]:
    """As subprocess.run, without ``check``, ``input`` and ``timeout``.

    Without input unless ``stdin`` says otherwise; what is not text is replaced.
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
