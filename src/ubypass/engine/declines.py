# SPDX-License-Identifier: GPL-2.0-only
"""The reasons why a process is not boosted, in words, with remedies.

The module reports the reason. Only lasting ones have a remedy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ubypass.device.uapi import Decline

__all__ = ["HINTS", "REASONS", "counted", "named"]

#: The reason, as the end of "native: ...".
REASONS: Final[Mapping[Decline, str]] = {
    Decline.NONE: "nothing",
    Decline.WORK: "the kernel had pending work",
    Decline.RESTART: "its system call was being restarted",
    Decline.FLAGS: "it has set unusual CPU flags",
    Decline.REGISTERS: "its registers were not in the state after a system call",
    Decline.FSBASE: "its fs base is not a user address",
    Decline.X87: "it has unmasked an x87 exception",
    Decline.STACK: "the kernel stack had no room",
    Decline.DEAD: "the translation had just been invalidated",
    Decline.SECCOMP: "its seccomp mode or filter is not supported",
    Decline.PTRACE: "it is being traced",
    Decline.AUDIT: "its system calls are audited",
    Decline.TRACEPOINT: "all system calls of this machine are traced",
    Decline.SYSCALL_WORK: "its system calls are intercepted",
    Decline.STEP: "it is single-stepped",
    Decline.NOTSC: "it must not read the time-stamp counter",
    Decline.VCPU: "it runs a virtual machine",
    Decline.BREAKPOINT: "hardware breakpoints are set in it",
    Decline.RSEQ: "it has registered membarrier for rseq",
    Decline.SHADOW_STACK: "it has a user shadow stack",
    Decline.USER_TIME: "a timer measures its user time",
}

#: Remedies for lasting reasons.
HINTS: Final[Mapping[Decline, str]] = {
    Decline.SECCOMP: "filters need a kernel with CONFIG_DEBUG_INFO_BTF, strict mode is "
    "unsupported; or start it without: SystemCallFilter= of a unit, --security-opt "
    "seccomp=unconfined of a container",
    Decline.PTRACE: "end strace, or detach the debugger",
    Decline.AUDIT: "'auditctl -l' lists the rules; 'auditctl -a never,task' excludes "
    "processes started later",
    Decline.TRACEPOINT: "end perf trace, bpftrace, or other users of raw_syscalls or "
    "syscalls events",
    Decline.SYSCALL_WORK: "programs with syscall user dispatch (Wine) stay native",
    Decline.STEP: "detach the debugger",
    Decline.NOTSC: "the program has used prctl(PR_SET_TSC), and stays native",
    Decline.VCPU: "virtual machines stay native",
    Decline.BREAKPOINT: "remove the watchpoints of debuggers and perf",
    Decline.RSEQ: "some memory allocators do so (tcmalloc); use another allocator",
    Decline.SHADOW_STACK: "start it with GLIBC_TUNABLES=glibc.cpu.x86_shstk=off",
    Decline.USER_TIME: "end the profiler that has set ITIMER_VIRTUAL",
}


def counted(declines: Mapping[Decline, int]) -> dict[str, int]:
    """The reasons that occurred, by name, most frequent first, for machines."""
    rows = sorted(declines.items(), key=lambda row: (-row[1], row[0]))
    return {reason.name.lower(): number for reason, number in rows if number}


def named(name: str) -> Decline:
    """The reason with that name, as in :func:`counted` and ``declined_for``."""
    return Decline[name.upper()]
