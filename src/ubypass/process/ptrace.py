# SPDX-License-Identifier: GPL-2.0-only
"""Stops, steps and resumes a thread by ptrace, without a compiled extension.

Only requests and constants, independent of their use. A seized thread continues
undisturbed when the tracer detaches or ends, with one exception: if the tracer is
killed while single-stepping, the trap flag stays set and the trap ends the program
(Linux 6.18, ``exit_ptrace``). Stepping therefore belongs into a process of its own that
is never killed.
Numbers: ``include/uapi/linux/ptrace.h``, ``arch/x86/include/asm/user_64.h``.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
from dataclasses import dataclass

__all__ = ["Call", "Registers", "Stop", "Stopped", "Thread"]

_CONT, _SINGLESTEP, _GETREGS, _SETREGS, _DETACH, _SYSCALL = 7, 9, 12, 13, 17, 24
_SEIZE, _INTERRUPT, _LISTEN, _GET_SYSCALL_INFO = 0x4206, 0x4207, 0x4208, 0x420E
_O_TRACESYSGOOD = 1
_PEEKUSER, _GETSIGINFO, _SIGINFO_SIZE = 3, 0x4202, 128
_TRAPS = (1, 2)  # si_code of a SIGTRAP: TRAP_BRKPT, TRAP_TRACE
_EVENT_STOP = 128
_ALL = 0x40000000  # __WALL
_STOPS = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)

# struct user_regs_struct
_REGS = struct.Struct("<27Q")
_RAX, _ORIG_RAX, _RIP = 10, 15, 16
_INFO_SIZE = 88  # struct ptrace_syscall_info
_OP_ENTRY, _OP_EXIT = 1, 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (
    *(ctypes.c_long, ctypes.c_long),
    *(ctypes.c_void_p, ctypes.c_void_p),
)
_libc.ptrace.restype = ctypes.c_long
_libc.waitpid.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a thread is stopped.

    ``signal``: the signal about to be delivered, or 0. ``group``: a group-stop of the
    whole process. ``call``: before or behind a system call (see :class:`Call`).
    ``is_step``: an instruction has been stepped.
    """

    signal: int = 0
    group: bool = False
    call: bool = False
    is_step: bool = False


class Stopped(Exception):
    """The thread has ended."""


@dataclass(slots=True)
class Registers:
    """Registers of a stopped thread, in the order of ``struct user_regs_struct``."""

    words: list[int]

    @property
    def ip(self) -> int:
        """The instruction pointer."""
        return self.words[_RIP]

    @property
    def result(self) -> int:
        """rax, as a signed number."""
        value = self.words[_RAX]
        return value - (value >> 63 << 64)

    @result.setter
    def result(self, value: int) -> None:
        self.words[_RAX] = value % (1 << 64)

    @property
    def nr(self) -> int:
        """The number of the system call entered or just left; -1: none."""
        value = self.words[_ORIG_RAX]
        return value - (value >> 63 << 64)


@dataclass(frozen=True, slots=True)
class Call:
    """A stop before (``entry``) or behind a system call.

    ``ip``: the address behind the instruction. ``nr``: the number; -1 behind the call.
    """

    entry: bool
    ip: int
    nr: int = -1


class Thread:
    """A seized thread, which runs until :meth:`interrupt`.

    Raises OSError if tracing is not allowed. Each method raises :class:`Stopped` if the
    thread has ended. All calls must come from the thread that created the object.
    """

    def __init__(self, tid: int) -> None:
        self.tid = tid
        self._status = ctypes.c_int()
        self._ask(_SEIZE, _O_TRACESYSGOOD)

    def interrupt(self) -> None:
        """Request a stop; :meth:`wait` returns when the thread has stopped."""
        self._ask(_INTERRUPT)

    def step(self, number: int = 0) -> None:
        """Step one instruction; ``number``: a signal to deliver first."""
        self._ask(_SINGLESTEP, number)

    def to_call(self, number: int = 0) -> None:
        """Resume until the next entry or exit of a system call."""
        self._ask(_SYSCALL, number)

    def cont(self, number: int = 0) -> None:
        """Resume until the next event."""
        self._ask(_CONT, number)

    def listen(self) -> None:
        """Leave the thread in its group-stop, until the process is continued."""
        self._ask(_LISTEN)

    def detach(self, number: int = 0) -> None:
        """Detach from the thread, which must be stopped. Clears the trap flag."""
        self._ask(_DETACH, number)

    def wait(self) -> Stop | None:
        """Wait for a stop; None if a signal interrupted the caller."""
        got = _libc.waitpid(self.tid, ctypes.byref(self._status), _ALL)
        if got < 0:
            if ctypes.get_errno() == errno.EINTR:
                return None
            raise Stopped
        return self._stop(self._status.value)

    def ip(self) -> int:
        """The instruction pointer: faster than :meth:`registers`."""
        return self._peek(_RIP)

    def registers(self) -> Registers:
        """The registers of the thread, which must be stopped."""
        room = ctypes.create_string_buffer(_REGS.size)
        self._ask(_GETREGS, ctypes.addressof(room))
        return Registers(list(_REGS.unpack(room.raw)))

    def set_registers(self, registers: Registers) -> None:
        """Set all registers of the thread, which must be stopped."""
        room = ctypes.create_string_buffer(_REGS.pack(*registers.words))
        self._ask(_SETREGS, ctypes.addressof(room))

    def call(self) -> Call | None:
        """The entry or exit stop that the thread is in; None: neither."""
        room = ctypes.create_string_buffer(_INFO_SIZE)
        self._ask(_GET_SYSCALL_INFO, ctypes.addressof(room), _INFO_SIZE)
        op, ip = room.raw[0], int.from_bytes(room.raw[8:16], "little")
        if op == _OP_ENTRY:
            return Call(True, ip, int.from_bytes(room.raw[24:32], "little"))
        return Call(False, ip) if op == _OP_EXIT else None

    def _stop(self, status: int) -> Stop:
        if not os.WIFSTOPPED(status):
            raise Stopped
        number = os.WSTOPSIG(status)
        if status >> 16 == _EVENT_STOP:
            return Stop(group=number in _STOPS)
        if number == signal.SIGTRAP | 0x80:
            return Stop(call=True)
        if number == signal.SIGTRAP and self._code() in _TRAPS:
            return Stop(is_step=True)
        return Stop(signal=number)

    def _code(self) -> int:
        room = ctypes.create_string_buffer(_SIGINFO_SIZE)
        self._ask(_GETSIGINFO, ctypes.addressof(room))
        return int.from_bytes(room.raw[8:12], "little", signed=True)

    def _peek(self, word: int) -> int:
        # The system call stores the word at "data"; the C library's wrapper passes an
        # address of its own and returns the word.
        value: int = _libc.ptrace(_PEEKUSER, self.tid, 8 * word, None)
        return value % (1 << 64)

    def _ask(self, request: int, data: int = 0, address: int = 0) -> None:
        if _libc.ptrace(request, self.tid, address or None, data or None) < 0:
            number = ctypes.get_errno()
            if number == errno.ESRCH and request != _SEIZE:
                raise Stopped
            raise OSError(number, os.strerror(number))
