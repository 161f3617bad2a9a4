# SPDX-License-Identifier: GPL-2.0-only
import pytest

from ubypass.lab.logcheck import log_problems

_MARK = "the command starts"


@pytest.mark.parametrize(
    "line",
    [
        "BUG: unable to handle page fault for address: ffffffffc0de0000",
        "kernel BUG at mm/slub.c:435!",
        "WARNING: CPU: 0 PID: 77 at kernel/softirq.c:362 x+0x1",
        "Oops: 0002 [#1] PREEMPT SMP NOPTI",
        "general protection fault, probably for non-canonical address 0x8000000000000",
        "stack segment: 0000 [#1] PREEMPT SMP",
        "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [loop:99]",
        "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
        "INFO: task cat:81 blocked for more than 120 seconds.",
        "Kernel panic - not syncing: sysrq triggered crash",
        "unchecked MSR access error: RDMSR from 0x123 at rIP: 0xffff",
        "WARNING: possible recursive locking detected",
        "Call Trace:",
        "divide error: 0000 [#1] PREEMPT SMP",
        "BUG: scheduling while atomic: loop/91/0x00000002",
    ],
)
def test_complaint_is_found(line: str) -> None:
    log = f"<6>[    1.0] boot\n<12>[    3.0] {_MARK}\n<4>[   12.345678] {line}\n"
    assert log_problems(log, _MARK) == (line,)


@pytest.mark.parametrize(
    "line",
    [
        "ub: loading out-of-tree module taints kernel.",
        "traps: prog[91] general protection fault ip:401136 sp:7ffc error:0 in prog",
        "traps: prog[91] trap divide error ip:401136 sp:7ffc error:0 in prog",
        "prog[91]: segfault at 0 ip 0000000000401136 sp 00007ffc error 4 in prog",
        "rcu: \tRude variant of Tasks RCU enabled.",
        "random: crng init done",
    ],
)
def test_harmless_line_is_not(line: str) -> None:
    assert log_problems(f"{_MARK}\n<6>[ 4.0] {line}\n", _MARK) == ()


def test_only_after_the_mark() -> None:
    log = f"[ 1.0] WARNING: at boot\n[ 2.0] {_MARK}\n[ 3.0] BUG: later\n"
    assert log_problems(log, _MARK) == ("BUG: later",)


def test_everything_counts_when_the_mark_was_overwritten() -> None:
    assert log_problems("[ 1.0] WARNING: early\n", _MARK) == ("WARNING: early",)


def test_each_once_in_order_with_thread_ids_removed() -> None:
    log = "[ 1.0][ T12] WARNING: b\n[ 2.0][ C0] BUG: a\n[ 3.0] WARNING: b\n"
    assert log_problems(log, _MARK) == ("WARNING: b", "BUG: a")


def _report(constraint: str, *others: str) -> str:
    lines = [
        "hog invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        "CPU: 0 PID: 77 Comm: hog Not tainted 6.1.0-57-amd64 #1  Debian",
        "Call Trace:",
        " <TASK>",
        " dump_stack_lvl+0x44/0x5c",
        *others,
        "memory: usage 24576kB, limit 24576kB, failcnt 31",
        f"oom-kill:constraint={constraint},nodemask=(null),cpuset=/,task=pages,pid=8",
        "Memory cgroup out of memory: Killed process 8 (pages) total-vm:9kB, UID:0",
    ]
    return "".join(f"<4>[    5.0] {line}\n" for line in lines)


def test_the_limit_of_a_control_group_is_no_complaint() -> None:
    log = f"{_MARK}\n{_report('CONSTRAINT_MEMCG')}"
    assert log_problems(log + log, _MARK) == ()


def test_that_the_machine_has_no_memory_is_one() -> None:
    log = f"{_MARK}\n{_report('CONSTRAINT_NONE')}"
    assert log_problems(log, _MARK) == ("Call Trace:",)


def test_a_control_group_without_processes_at_its_limit_is_no_complaint() -> None:
    report = _report("CONSTRAINT_MEMCG").partition("<4>[    5.0] oom-kill:")[0]
    end = "<4>[    5.0] Out of memory and no killable processes...\n"
    assert log_problems(f"{_MARK}\n{report}{end}", _MARK) == ()
    of_all = report.replace("memory: usage", "Mem-Info: ")
    assert log_problems(f"{_MARK}\n{of_all}{end}", _MARK) == ("Call Trace:",)


def test_other_complaints_beside_such_a_report_count() -> None:
    within = _report("CONSTRAINT_MEMCG", "WARNING: x", "Call Trace:")
    assert log_problems(f"{_MARK}\n{within}", _MARK) == ("WARNING: x", "Call Trace:")
    behind = f"{_MARK}\n{_report('CONSTRAINT_MEMCG')}[ 6.0] Call Trace:\n"
    assert log_problems(behind, _MARK) == ("Call Trace:",)
    cut = _report("CONSTRAINT_MEMCG").partition("memory: usage")[0]
    assert log_problems(f"{_MARK}\n{cut}", _MARK) == ("Call Trace:",)
