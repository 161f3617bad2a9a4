# SPDX-License-Identifier: GPL-2.0-only
"""Finds a kernel's complaints in its log. Independent of virtual machines."""

from __future__ import annotations

import re

__all__ = ["log_problems"]

# Messages of a kernel about its own errors, not about errors of programs:
# "traps: prog[12] general protection fault ip:" is about a program and does not match.
_COMPLAINTS = re.compile(
    r"BUG:|kernel BUG at|WARNING:|\bOops\b|general protection fault,|stack segment:"
    r"|soft lockup|hard LOCKUP|INFO: rcu|rcu: INFO|INFO: task .* blocked|lockdep"
    r"|possible (?:recursive|circular|irq) lock|Kernel panic|unchecked MSR"
    r"|Call Trace|invalid opcode:|divide error:|scheduling while atomic"
    r"|refcount_t:|list_(?:add|del) corruption|detected stall|bad unlock balance"
    r"|sleeping function called|UBSAN:|KASAN:|double fault:"
)
# Messages about user faults have the same words as those about the kernel's own faults.
_USERS = re.compile(r"^traps: |\bsegfault at\b")
# A process group at its limit of memory: whoever has set the limit expects that. Of the
# whole machine it is a complaint.
_OOM = re.compile(r"\binvoked oom-killer: ")
_OOM_CAUSE = re.compile(r"^oom-kill:constraint=(\w+),")
_OF_CGROUP = "CONSTRAINT_MEMCG"
# Instead, if its processes have just ended or left; of the whole machine, a panic.
_NO_VICTIM = "Out of memory and no killable processes..."
_USAGE_OF_CGROUP = re.compile(r"^memory: usage \d+kB, limit \d+kB, failcnt ")
_TRACE = "Call Trace:"
_PREFIX = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?")


def log_problems(log: str, mark: str) -> tuple[str, ...]:
    """Complaints in ``log`` after the last line that contains ``mark``.

    Without the mark all of ``log`` counts. Lines come without time and level, each
    once, in order. Reports of a control group out of memory are no complaints.
    """
    _, found, rest = log.rpartition(mark)
    lines = (rest if found else log).splitlines()
    texts = _without_reports([_PREFIX.sub("", line).strip() for line in lines])
    wrong = (t for t in texts if _COMPLAINTS.search(t) and not _USERS.search(t))
    return tuple(dict.fromkeys(wrong))


def _without_reports(lines: list[str]) -> list[str]:
    """Without the call traces of who has brought a control group to its limit."""
    kept: list[str] = []
    report: list[int] = []  # where call traces since the beginning of a report are
    reporting = of_cgroup = False
    for line in lines:
        cause = _OOM_CAUSE.match(line)
        if _OOM.search(line):
            reporting, of_cgroup, report = True, False, []
        elif reporting and _USAGE_OF_CGROUP.match(line):
            of_cgroup = True
        elif reporting and (cause or line == _NO_VICTIM):
            forgiven = cause[1] == _OF_CGROUP if cause else of_cgroup
            if forgiven and report:
                del kept[report[0]]  # one report has one; others are of somebody else
            reporting = False
        elif reporting and line == _TRACE:
            report.append(len(kept))
        kept.append(line)
    return kept
