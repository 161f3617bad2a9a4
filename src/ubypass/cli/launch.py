# SPDX-License-Identifier: GPL-2.0-only
"""Starts a program that waits before its first instruction.

The program is attached before it executes anything, so all of its calls are counted. It
is stopped by ptrace; where ptrace is not allowed it starts without waiting.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Sequence

from ubypass.errors import UbError

__all__ = ["Launch"]

_TRACEME, _CONT, _DETACH = 0, 7, 17  # sys/ptrace.h

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_long)
_libc.ptrace.restype = ctypes.c_long


def _hold() -> None:
    """In the new process: stop after a successful exec."""
    _libc.ptrace(_TRACEME, 0, None, 0)


class Launch:
    """``child`` runs ``command`` and waits for :meth:`go`.

    Only the thread that created the object may call :meth:`go`. Raises ``UbError`` if
    the program cannot be started.
    """

    def __init__(self, command: Sequence[str]) -> None:
        try:
            self.child = subprocess.Popen(command, preexec_fn=_hold)
        except FileNotFoundError as error:
            raise UbError(
                f"cannot run {command[0]}: not found",
                "check the name, or give a path",
                exit_code=127,
            ) from error
        except OSError as error:
            raise UbError(
                f"cannot run {command[0]}: {error.strerror}",
                "it must be an executable file",
                exit_code=126,
            ) from error
        self._held = self._is_traced() and self._stops()

    def go(self) -> None:
        """Let the program run, untraced."""
        if self._held:
            self._held = False
            _libc.ptrace(_DETACH, self.child.pid, None, 0)

    @property
    def is_held(self) -> bool:
        """Whether the program still waits."""
        return self._held

    def _is_traced(self) -> bool:
        try:
            with open(f"/proc/{self.child.pid}/status") as status:
                return any(
                    line.split() == ["TracerPid:", str(os.getpid())] for line in status
                )
        except OSError:
            return False

    def _stops(self) -> bool:
        """Wait for the stop after the exec; False if the program has ended before."""
        pid = self.child.pid
        while True:
            # WNOWAIT: Popen collects the status of an ended process.
            found = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            assert found is not None
            if found.si_code not in (os.CLD_TRAPPED, os.CLD_STOPPED):
                return False
            os.waitid(os.P_PID, pid, os.WSTOPPED)
            if found.si_status == signal.SIGTRAP:
                return True
            # An earlier signal: deliver it to the program.
            _libc.ptrace(_CONT, pid, None, found.si_status)
