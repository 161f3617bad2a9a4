# SPDX-License-Identifier: GPL-2.0-only
"""What may be used with preemption off, on kernels for real time (PREEMPT_RT) as well.

There spinlocks, reader-writer locks and local locks sleep, as do allocations of any
kind and whatever takes such a lock: a wake-up of a wait queue, for one. The module runs
translated code with preemption off and takes its locks around it, so all of them are
raw. A kernel says so only when a task really has to wait: too seldom for a test in one.
"""

from __future__ import annotations

import re

import pytest

from tests.places import ROOT

_SOURCES = sorted(
    file
    for file in (ROOT / "kernel").iterdir()
    if file.suffix in {".c", ".h"} and not file.name.endswith(".mod.c")
)
_COMMENTS = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def _used(pattern: str) -> set[str]:
    """``file: text`` of each match in the code of the module."""
    return {
        f"{file.name}: {found[0]}"
        for file in _SOURCES
        for found in re.finditer(pattern, _COMMENTS.sub(" ", file.read_text()))
    }


@pytest.mark.parametrize(
    "pattern",
    [
        r"\b(?:spin|read|write)_(?:try)?lock\w*\b",
        r"\b(?:spinlock|rwlock|local_lock|seqlock)_t\b",
        r"\bDEFINE_(?:SPINLOCK|RWLOCK|SEQLOCK)\b",
        r"\blocal_lock\w*\b",
        r"\bGFP_(?:ATOMIC|NOWAIT)\b",
        r"\bget_cpu_light\b",
    ],
)
def test_nothing_that_sleeps_on_a_kernel_for_real_time(pattern: str) -> None:
    assert _used(pattern) == set()


def test_locks_are_raw() -> None:
    assert len(_used(r"\braw_spin(?:lock_t|_lock\w*)\b")) > 10
