# SPDX-License-Identifier: GPL-2.0-only
"""Why a process is not boosted, in words, and what to do about it.

The module knows the reason; only what lasts can be done something about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ubypass.device.uapi import Decline

__all__ = ["HINTS", "REASONS", "counted"]

#: What holds, as the end of "native: ...".
REASONS: Final[Mapping[Decline, str]] = {
    Decline.NONE: "nothing",
    Decline.WORK: "the kernel had work to do first",
    Decline.RESTART: "its call was to be restarted",
    Decline.FLAGS: "it has set unusual processor flags",
    Decline.REGISTERS: "its registers were not as a system call leaves them",
    Decline.FSBASE: "its fs base is no user address",
    Decline.X87: "it has unmasked an x87 exception",
    Decline.STACK: "there was no room on the kernel's stack",
    Decline.DEAD: "the translation had just died",
    Decline.SECCOMP: "seccomp confines it in a way that the module cannot follow",
    Decline.PTRACE: "it is being traced",
    Decline.AUDIT: "audit looks at its system calls",
    Decline.TRACEPOINT: "system calls are traced on this machine",
    Decline.SYSCALL_WORK: "its system calls are intercepted",
    Decline.STEP: "it is single-stepped",
    Decline.NOTSC: "it must not read the time-stamp counter",
    Decline.VCPU: "it runs a virtual machine",
    Decline.BREAKPOINT: "hardware breakpoints are set in it",
    Decline.RSEQ: "it has registered membarrier for rseq",
    Decline.SHADOW_STACK: "it has a user shadow stack",
    Decline.USER_TIME: "a timer measures its user time",
}

#: What to do about those that last.
HINTS: Final[Mapping[Decline, str]] = {
    Decline.SECCOMP: "filters can be followed on kernels with CONFIG_DEBUG_INFO_BTF, "
    "strict mode nowhere; or start it without: SystemCallFilter= of a unit, "
    "--security-opt seccomp=unconfined of a container",
    Decline.PTRACE: "end strace, or detach the debugger",
    Decline.AUDIT: "'auditctl -l' lists the rules; 'auditctl -a never,task' spares "
    "processes that start later",
    Decline.TRACEPOINT: "end perf trace, bpftrace, or what else uses raw_syscalls or "
    "syscalls events",
    Decline.SYSCALL_WORK: "what uses syscall user dispatch (Wine) stays native",
    Decline.STEP: "detach the debugger",
    Decline.NOTSC: "prctl(PR_SET_TSC) has forbidden it; the program stays native",
    Decline.VCPU: "virtual machines stay native",
    Decline.BREAKPOINT: "remove watchpoints of debuggers and of perf",
    Decline.RSEQ: "some memory allocators do so (tcmalloc); use another one",
    Decline.SHADOW_STACK: "GLIBC_TUNABLES=glibc.cpu.x86_shstk=off starts it without",
    Decline.USER_TIME: "profilers set ITIMER_VIRTUAL; without it it is boosted",
}


def counted(declines: Mapping[Decline, int]) -> dict[str, int]:
    """Those that occurred by name, most frequent first, for machines."""
    rows = sorted(declines.items(), key=lambda row: (-row[1], row[0]))
    return {reason.name.lower(): number for reason, number in rows if number}
