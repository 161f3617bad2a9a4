# SPDX-License-Identifier: GPL-2.0-only
"""The structures of ``runner.h`` for ctypes; a test compares both.

Layout only: the header documents the fields.
"""

from __future__ import annotations

import ctypes
from ctypes import c_uint32 as u32
from ctypes import c_uint64 as u64

__all__ = [
    "Area",
    "Call",
    "Cpu",
    "Dispatch",
    "Entry",
    "Exit",
    "Failure",
    "Fault",
    "Job",
    "RegisterKind",
    "Result",
    "Single",
]

REASONS = 16
EXITS = 64


class Cpu(ctypes.Structure):
    """``struct ub_cpu``"""

    _fields_ = (("gpr", u64 * 16), ("rip", u64), ("flags", u64))


class RegisterKind(ctypes.Structure):
    """``struct ub_register_kind``"""

    _fields_ = (("kind", u32), ("reserved", u32), ("bias", u64))


class Area(ctypes.Structure):
    """``struct ub_area``"""

    _fields_ = (
        ("address", u64),
        ("size", u64),
        ("flags", u32),
        ("reserved", u32),
        ("content", ctypes.c_char_p),
    )


class Exit(ctypes.Structure):
    """``struct ub_exit``"""

    _fields_ = (
        ("ip", u64),
        ("cx", u64),
        ("reason", u32),
        ("flags", u32),
        ("live", u32),
        ("bases", u32),
    )


class Fault(ctypes.Structure):
    """``struct ub_fault``"""

    _fields_ = (("at", u32), ("fixup", u32))


class Dispatch(ctypes.Structure):
    """``struct ub_dispatch``"""

    _fields_ = (
        ("at", u32),
        ("nr", u32),
        ("pre", u32),
        ("post", u32),
        ("next", u32),
        ("reserved", u32),
    )


class Entry(ctypes.Structure):
    """``struct ub_entry``"""

    _fields_ = (("ip", u64), ("offset", u64))


class Job(ctypes.Structure):
    """``struct ub_job``"""

    _fields_ = (
        ("areas", ctypes.POINTER(Area)),
        ("code", ctypes.c_char_p),
        ("exits", ctypes.POINTER(Exit)),
        ("faults", ctypes.POINTER(Fault)),
        ("dispatches", ctypes.POINTER(Dispatch)),
        ("jumps", ctypes.POINTER(u32)),
        ("entries", ctypes.POINTER(Entry)),
        ("ends", ctypes.POINTER(u64)),
        ("sites", ctypes.POINTER(u64)),
        ("args", ctypes.c_char_p),
        ("code_size", u64),
        ("area_count", u32),
        ("exit_count", u32),
        ("fault_count", u32),
        ("dispatch_count", u32),
        ("jump_count", u32),
        ("entry_count", u32),
        ("end_count", u32),
        ("site_count", u32),
        ("args_count", u32),
        ("max_dispatches", u32),
        ("seed", u64),
        ("first", u64),
        ("executions", u64),
        ("data", u64),
        ("data_size", u64),
        ("stack", u64),
        ("fsbase", u64),
        ("ignore", u64),
        ("budget", u32),
        ("vectors_plain", u32),
        ("fred", u32),
        ("registers", RegisterKind * 16),
    )


class Call(ctypes.Structure):
    """``struct ub_call`` (in ``timing.c``)"""

    _fields_ = (
        ("cpu", Cpu),
        ("cycles", u64),
        ("instructions", u64),
        ("target", u64),
        ("at", u64),
        ("number", u32),
        ("dispatched", u32),
        ("kind", u32),
        ("count", u32),
        ("translated", u32),
        ("budget", u32),
        ("histogram", ctypes.POINTER(u32)),
        ("path", ctypes.POINTER(u64)),
        ("path_room", u32),
    )


class Single(ctypes.Structure):
    """``struct ub_single`` (in ``single.c``)"""

    _fields_ = (
        ("code", ctypes.c_uint8 * 16),
        ("length", u32),
        ("signal", u32),
        ("vector", u32),
        ("reserved", u32),
    )


class Failure(ctypes.Structure):
    """``struct ub_failure``"""

    _fields_ = (
        ("index", u64),
        ("wrong", u32),
        ("registers", u32),
        ("vector", u32),
        ("leave", u32),
        ("memory", u64),
        ("memory_native", u64),
        ("memory_translated", u64),
        ("target_native", u64),
        ("target_translated", u64),
        ("entry", u64),
        ("stopped", u64),
        ("dispatched", u64),
        ("start", Cpu),
        ("native", Cpu),
        ("translated", Cpu),
    )


class Result(ctypes.Structure):
    """``struct ub_result``"""

    _fields_ = (
        ("executions", u64),
        ("mismatches", u64),
        ("undecided", u64),
        ("faults", u64),
        ("needless", u64),
        ("careful", u64),
        ("careless", u64),
        ("reasons", u64 * REASONS),
        ("inexact", u64 * REASONS),
        ("exits", u64 * EXITS),
        ("failure", Failure),
    )
