# SPDX-License-Identifier: GPL-2.0-only
"""Runs cases with the C library, thousands of states at a time."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_uint32, c_uint64
from functools import lru_cache
from typing import Any

from ubypass.errors import UbError
from ubypass.native import types
from ubypass.native.build import library
from ubypass.native.case import Case
from ubypass.native.report import Report, report

__all__ = ["WHY", "describe", "keeps_x87_pointers", "load", "run"]

_WRITE, _CODE = 1, 2
_NO_SYSCALL = 0xFF
#: Reasons for failures of the library, by return value.
WHY = {
    -1: "the memory at the required addresses is in use",
    -2: "an invalid case",
    -3: "signals are unavailable",
    -4: "this processor has no XSAVE, or the kernel does not use it",
}


@lru_cache(maxsize=1)
def load() -> ctypes.CDLL:
    """The library, loaded into this process."""
    return ctypes.CDLL(str(library()))


def keeps_x87_pointers() -> bool:
    """Whether this processor keeps the addresses and the opcode of the last x87
    instruction (FIP, FDP, FOP) while no exception is pending. AMD's processors do not;
    the fields are then not compared. Raises UbError if the runner cannot work here.
    """
    kept: int = load().ub_keeps_x87_pointers()
    if kept < 0:
        raise UbError(f"the native runner gave up: {WHY[-4]}")
    return bool(kept)


def run(case: Case, executions: int, seed: int = 0, first: int = 0) -> Report:
    """Run ``executions`` random states of ``seed``, from number ``first`` on.

    Each state is run natively and translated, and the results are compared. Differences
    are in the report. Raises UbError if the runner itself cannot work here.
    """
    keep: list[Any] = []
    job = describe(case, keep)
    job.seed, job.first, job.executions = seed, first, executions
    result = types.Result()
    code = load().ub_run(ctypes.byref(job), ctypes.byref(result))
    if code:
        raise UbError(f"the native runner gave up: {WHY.get(code, code)}")
    return report(case, result)


def _array(kind: Any, values: Sequence[Any], keep: list[Any]) -> Any:
    found = (kind * max(len(values), 1))(*values)
    keep.append(found)
    return found


def describe(case: Case, keep: list[Any]) -> types.Job:
    """The job for the library; ``keep`` gets objects that must outlive the job."""
    translation = case.translation
    size = (
        case.abi.dispatch_vector_size if translation.vector else case.abi.dispatch_size
    )
    offsets = {entry.user_ip: entry.code_offset for entry in translation.entries}
    highest = max(case.abi.args, default=0) + 1
    args = bytes(case.abi.args.get(nr, _NO_SYSCALL) for nr in range(highest))
    job = types.Job()
    areas = [
        types.Area(
            address=area.address,
            size=area.size,
            flags=_WRITE * area.write | _CODE * area.code,
            content=area.content,
        )
        for area in case.areas
    ]
    keep += [case, args]
    job.areas = _array(types.Area, areas, keep)
    job.area_count = len(areas)
    job.code = translation.code
    job.code_size = len(translation.code)
    exits = [
        types.Exit(e.user_ip, e.cx, int(e.reason), int(e.flags), live, bases)
        for e, live, bases in zip(translation.exits, case.live, case.bases, strict=True)
    ]
    job.exits = _array(types.Exit, exits, keep)
    job.exit_count = len(exits)
    faults = [types.Fault(f.code_offset, f.fixup_offset) for f in translation.faults]
    job.faults = _array(types.Fault, faults, keep)
    job.fault_count = len(faults)
    dispatches = [
        types.Dispatch(
            d.code_offset, d.nr, d.pre_offset, d.post_offset, d.code_offset + size
        )
        for d in translation.dispatches
    ]
    job.dispatches = _array(types.Dispatch, dispatches, keep)
    job.dispatch_count = len(dispatches)
    job.jumps = _array(c_uint32, translation.jumps, keep)
    job.jump_count = len(translation.jumps)
    entries = [types.Entry(ip, offsets[ip]) for ip in case.entries]
    job.entries = _array(types.Entry, entries, keep)
    job.entry_count = len(entries)
    job.ends = _array(c_uint64, case.ends, keep)
    job.end_count = len(case.ends)
    job.sites = _array(c_uint64, case.sites, keep)
    job.site_count = len(case.sites)
    job.args = args
    job.args_count = highest
    job.max_dispatches = case.max_dispatches
    job.data, job.data_size = case.layout.data, 2 * 4096
    job.stack = case.layout.rsp
    job.fsbase = case.layout.fsbase
    job.ignore = sum(1 << number for number in case.ignore)
    job.budget = case.budget
    job.vectors_plain = case.plain
    job.fred = case.abi.fred
    for number, (kind, bias) in enumerate(case.registers):
        job.registers[number].kind = int(kind)
        job.registers[number].bias = bias & ((1 << 64) - 1)
    return job
