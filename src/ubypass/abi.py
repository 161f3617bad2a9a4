# SPDX-License-Identifier: GPL-2.0-only
"""The interface between the kernel module and generated code, for Python.

Mirrors ``kernel/include/uapi/ub.h`` and ``ub_syscalls.h`` (a test compares them);
``docs/abi.md`` explains the rules. Independent of how a translation is made, checked or
loaded: the translator, the verifier and the device import this module, but not each
other.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

__all__ = [
    "ABI_VERSION",
    "BUDGET_MAX",
    "ENDBR64",
    "FRAME_BUDGET",
    "FRAME_EXIT",
    "FRAME_FIP",
    "FRAME_FLAGS",
    "FRAME_FSBASE",
    "FRAME_LIMIT",
    "FRAME_PRIVATE",
    "FRAME_REGS",
    "FRAME_SYSFLAGS",
    "FRAME_TARGET",
    "FRAME_TMP0",
    "FRAME_TMP1",
    "FRAME_TMP2",
    "GROWTH",
    "GUARD_FAR",
    "GUARD_HIGH",
    "GUARD_LOW",
    "INFOF_FRED",
    "INFOF_SECCOMP",
    "INFOF_X87",
    "LOADF_TRUSTED",
    "LOADF_VECTOR",
    "LOADF_X87",
    "REGS_OFFSET",
    "REP_MAX",
    "SYSCALL_ARGS",
    "SYSCALL_NONE",
    "TASK_SIZE_MIN",
    "Abi",
    "Dispatch",
    "Entry",
    "Exit",
    "ExitFlag",
    "ExitReason",
    "Fault",
    "SiteKey",
    "Source",
    "Translation",
]

ABI_VERSION: Final = 8

#: The bytes of the instruction that ends indirect branches of a kernel with indirect
#: branch tracking. Generated code has them nowhere: docs/abi.md, section 3.
ENDBR64: Final = bytes((0xF3, 0x0F, 0x1E, 0xFA))

# The frame: offsets in bytes from rsp inside generated code.
FRAME_EXIT: Final = 0x00
FRAME_BUDGET: Final = 0x04
FRAME_LIMIT: Final = 0x08
FRAME_FLAGS: Final = 0x10
FRAME_SYSFLAGS: Final = 0x18
FRAME_TARGET: Final = 0x20
FRAME_FSBASE: Final = 0x28
FRAME_TMP0: Final = 0x30
FRAME_TMP1: Final = 0x38
FRAME_TMP2: Final = 0x40
#: Address of the user's next x87 instruction; 0: none was executed.
FRAME_FIP: Final = 0x48
FRAME_PRIVATE: Final = 0x50
FRAME_REGS: Final = 0x8C0

#: Offset of each user register in ``struct pt_regs``, in bytes (x86-64 kernel,
#: ``arch/x86/include/asm/ptrace.h``); these are the fields that code may write.
REGS_OFFSET: Mapping[str, int] = {
    "r15": 0,
    "r14": 8,
    "r13": 16,
    "r12": 24,
    "rbp": 32,
    "rbx": 40,
    "r11": 48,
    "r10": 56,
    "r9": 64,
    "r8": 72,
    "rax": 80,
    "rcx": 88,
    "rdx": 96,
    "rsi": 104,
    "rdi": 112,
    "rsp": 152,
}

#: A clamped base is valid for ``[base + disp]`` with ``GUARD_LOW <= disp`` and
#: ``disp + size <= GUARD_HIGH`` (bytes). Below zero only the top 2 MiB of the address
#: space can be reached, which Linux never maps; above TASK_SIZE_MAX is non-canonical
#: space (Documentation/arch/x86/x86_64/mm.rst).
GUARD_LOW: Final = -(2 << 20)
GUARD_HIGH: Final = 2 << 30
#: The upper guard for an index of 32 bits: nothing is mapped there on any processor,
#: not even for speculation with the upper address bits cut off (the kernel's half
#: begins with a hole of 8 TiB).
GUARD_FAR: Final = 1 << 40

#: Highest budget that the module gives a segment (``UB_BUDGET_MAX``).
BUDGET_MAX: Final = 1 << 24
#: Bytes by which a clamped address may move up for each unit that its segment charges
#: to the budget (docs/abi.md, section 6): in all at most half of the guard.
GROWTH: Final = 64
#: Largest number of elements of one repeated string instruction (``UB_REP_MAX``).
REP_MAX: Final = 1 << 16

#: Constant user addresses below this need no clamp on any x86-64 Linux.
TASK_SIZE_MIN: Final = (1 << 47) - 4096

#: Marks a system call in :attr:`Abi.args` that must not be dispatched.
SYSCALL_NONE: Final = 0xFF


#: ``ub_load.flags``
LOADF_VECTOR: Final = 1
#: Only with ``LOADF_VECTOR``: the module maintains FIP (docs/abi.md).
LOADF_X87: Final = 2
#: Guards without clamps: only for a process that was attached as a trusted one.
LOADF_TRUSTED: Final = 4

#: ``ub_info.flags``: the module accepts ``LOADF_X87`` on this CPU.
INFOF_X87: Final = 1
#: ``ub_info.flags``: the module evaluates seccomp filters at each dispatch.
INFOF_SECCOMP: Final = 2
#: ``ub_info.flags``: system calls leave rcx and r11 as they are.
INFOF_FRED: Final = 4


class ExitReason(enum.IntEnum):
    """Why generated code returned to user mode (``enum ub_exit_reason``)."""

    NONE = 0
    FAULT = 1
    RET_MISS = 2
    CALL_MISS = 3
    JUMP_MISS = 4
    FRONTIER = 5
    UNSUPPORTED = 6
    BUDGET = 7
    WORK = 8
    DISPATCHED = 9
    SYSCALL = 10
    STACK = 11


class ExitFlag(enum.IntFlag):
    """How the module completes the user state at an exit (``UB_EXITF_*``)."""

    NONE = 0
    SLOT_FLAGS = 1
    SLOT_SYSFLAGS = 2
    CX_SYS = 4
    R11_SYS = 8
    TARGET = 16
    DISPATCHED = 32


class SiteKey(NamedTuple):
    """The identity of a site, and of an entry: a resume address and a call number.

    The number counts, because libraries make many calls with one instruction: all of
    them have its resume address.
    """

    ip: int
    nr: int


@dataclass(frozen=True)
class Entry:
    """A site and the offset of its code (``struct ub_entry``).

    Entries of several calls that return to one address may have the same code.
    """

    user_ip: int
    code_offset: int
    nr: int

    @property
    def key(self) -> SiteKey:
        """The site behind whose call the code may be entered."""
        return SiteKey(self.user_ip, self.nr)


# There are thousands of instances of the next two classes: with an explicit __init__
# their construction is compiled.
@dataclass(init=False, unsafe_hash=True)
class Exit:
    """One exit of a translation (``struct ub_exit``); immutable by convention."""

    user_ip: int
    reason: ExitReason
    flags: ExitFlag
    cx: int

    def __init__(
        self,
        user_ip: int,
        reason: ExitReason,
        flags: ExitFlag = ExitFlag.NONE,
        cx: int = 0,
    ) -> None:
        self.user_ip, self.reason, self.flags, self.cx = user_ip, reason, flags, cx


@dataclass(init=False, unsafe_hash=True)
class Fault:
    """An instruction that may fault and its exit stub; immutable by convention."""

    code_offset: int
    fixup_offset: int

    def __init__(self, code_offset: int, fixup_offset: int) -> None:
        self.code_offset, self.fixup_offset = code_offset, fixup_offset


@dataclass(frozen=True)
class Dispatch:
    """A place that the module fills with the call of a handler.

    ``user_ip``: the resume address, as passed to seccomp filters.
    """

    code_offset: int
    nr: int
    pre_offset: int
    post_offset: int
    user_ip: int


@dataclass(frozen=True)
class Source:
    """User code that is a source of a translation."""

    start: int
    data: bytes


@dataclass(frozen=True)
class Abi:
    """The properties of a loaded module (``UB_IOC_INFO``).

    ``args`` maps a call number to its number of argument registers; other numbers must
    not be dispatched. ``dispatch_vector_size``: the size of a dispatch, in bytes, in
    code that uses vector registers. ``x87``: code with x87 instructions can be loaded.
    ``features``: features of the target processor, by their names in
    ``/proc/cpuinfo``; None: all. ``filters``: seccomp filters are evaluated at each
    dispatch; otherwise threads with a filter are declined. ``trusted``: the program is
    trusted, so that a guard alone may prove an address (docs/abi.md, section 6).
    ``fred``: the kernel runs with FRED, where system calls leave rcx and r11 as they
    are. The defaults are for offline use.
    """

    dispatch_size: int = 160
    dispatch_vector_size: int = 224
    max_code: int = 1 << 18
    task_size_max: int = TASK_SIZE_MIN
    args: Mapping[int, int] = field(default_factory=lambda: dict(SYSCALL_ARGS))
    x87: bool = True
    features: frozenset[str] | None = None
    filters: bool = True
    trusted: bool = False
    fred: bool = False


@dataclass(frozen=True)
class Translation:
    """Machine code for a region and all data that the module needs to run it.

    ``code`` has int3 bytes in place of dispatches and zero rel32 fields at the offsets
    in ``jumps``. Constants, if any, fill ``code`` from the offset ``constants`` to the
    end. ``user_ips`` maps code offsets, ascending, to the user instructions of their
    origin, for listings. ``vector``: the code uses x87, SSE or AVX registers; ``x87``:
    x87 instructions, which record their address (``vector`` is then set too).
    ``trusted``: addresses are guarded but not clamped, for a trusted program only.
    ``exact``, for each exit: all arithmetic flags are the user's there, not only the
    live ones. ``anchored``: by the address of an instruction, ascending, a mask of the
    user registers for which the code may exit there because they hold no user address.
    """

    code: bytes
    entries: tuple[Entry, ...]
    exits: tuple[Exit, ...]
    faults: tuple[Fault, ...]
    dispatches: tuple[Dispatch, ...]
    jumps: tuple[int, ...]
    sources: tuple[Source, ...]
    constants: int
    user_ips: tuple[tuple[int, int], ...] = ()
    vector: bool = False
    x87: bool = False
    trusted: bool = field(default=False, repr=False)
    exact: tuple[bool, ...] = field(default=(), compare=False, repr=False)
    anchored: tuple[tuple[int, int], ...] = field(default=(), compare=False, repr=False)


#: Call number → number of argument registers that the handler reads
#: (``ub_syscalls.h``).
SYSCALL_ARGS: Mapping[int, int] = {
    0: 3,  # read
    1: 3,  # write
    3: 1,  # close
    4: 2,  # newstat
    5: 2,  # newfstat
    6: 2,  # newlstat
    7: 3,  # poll
    8: 3,  # lseek
    16: 3,  # ioctl
    17: 4,  # pread64
    18: 4,  # pwrite64
    19: 3,  # readv
    20: 3,  # writev
    21: 2,  # access
    23: 5,  # select
    24: 0,  # sched_yield
    32: 1,  # dup
    35: 2,  # nanosleep
    39: 0,  # getpid
    40: 4,  # sendfile64
    42: 3,  # connect
    43: 3,  # accept
    44: 6,  # sendto
    45: 6,  # recvfrom
    46: 3,  # sendmsg
    47: 3,  # recvmsg
    48: 2,  # shutdown
    51: 3,  # getsockname
    52: 3,  # getpeername
    54: 5,  # setsockopt
    55: 5,  # getsockopt
    72: 3,  # fcntl
    73: 2,  # flock
    74: 1,  # fsync
    75: 1,  # fdatasync
    96: 2,  # gettimeofday
    102: 0,  # getuid
    104: 0,  # getgid
    107: 0,  # geteuid
    108: 0,  # getegid
    110: 0,  # getppid
    186: 0,  # gettid
    201: 1,  # time
    202: 6,  # futex
    228: 2,  # clock_gettime
    230: 4,  # clock_nanosleep
    232: 4,  # epoll_wait
    233: 4,  # epoll_ctl
    257: 4,  # openat
    262: 4,  # newfstatat
    270: 6,  # pselect6
    271: 5,  # ppoll
    281: 6,  # epoll_pwait
    288: 4,  # accept4
    295: 5,  # preadv
    296: 5,  # pwritev
    299: 5,  # recvmmsg
    307: 4,  # sendmmsg
}
