# SPDX-License-Identifier: GPL-2.0-only
"""The structures and numbers of ``kernel/include/uapi/ub.h`` for ctypes.

Field for field as in the header, which documents them; a test compiles the header and
compares sizes, offsets and values.
"""

from __future__ import annotations

import ctypes
import enum
from ctypes import c_int32, c_int64, c_uint8, c_uint32, c_uint64
from typing import ClassVar

__all__ = [
    "ATTACHF_CHILDREN",
    "ATTACHF_TRUSTED",
    "DECLINE_LASTING",
    "DECLINE_SLOTS",
    "EVENT_STACK",
    "IOC_ATTACH",
    "IOC_COUNTS",
    "IOC_DETACH",
    "IOC_INFO",
    "IOC_LOAD",
    "IOC_PATH",
    "IOC_REGIONS",
    "IOC_SITES",
    "IOC_STATS",
    "IOC_TRIAL",
    "IOC_TUNE",
    "IOC_UNLOAD",
    "PATH_MAX",
    "PATH_MISS",
    "SITES_MAX",
    "STATSF_GONE",
    "STATSF_RESTING",
    "STATSF_TRUSTED",
    "TRIALF_CONFIRM",
    "TRIALF_TIMED",
    "TRIAL_GRANT_MAX",
    "TRIAL_LEASE_MAX",
    "TRIAL_LEASE_MIN",
    "TRIAL_SLICE_NS",
    "TRIAL_STRIKES",
    "TRIAL_TRIFLE_NS",
    "TUNEF_SET",
    "Decline",
    "EventType",
    "SiteVerdict",
    "TrialState",
    "Tunable",
    "UbAttach",
    "UbCounts",
    "UbDetach",
    "UbDispatch",
    "UbEntry",
    "UbEvent",
    "UbExit",
    "UbFault",
    "UbInfo",
    "UbLoad",
    "UbPath",
    "UbRegions",
    "UbSiteInfo",
    "UbSites",
    "UbSource",
    "UbStats",
    "UbTrial",
    "UbTune",
    "UbUnload",
]

EVENT_STACK = 24
TUNEF_SET = 1
ATTACHF_CHILDREN = 1
ATTACHF_TRUSTED = 2
SITES_MAX = 256
PATH_MAX = 8192
PATH_MISS = 0xFFFFFFFF
STATSF_GONE = 1
STATSF_TRUSTED = 2
STATSF_RESTING = 4
TRIALF_CONFIRM = 1
TRIALF_TIMED = 2
TRIAL_SLICE_NS = 100_000
TRIAL_GRANT_MAX = 10_000_000_000
TRIAL_LEASE_MIN = 1_000_000
TRIAL_LEASE_MAX = 3_600_000_000_000
TRIAL_TRIFLE_NS = 20_000
TRIAL_STRIKES = 2
DECLINE_SLOTS = 32
_EXIT_SLOTS = 16


class EventType(enum.IntEnum):
    """``enum ub_event_type``."""

    HOT = 1
    MISS = 2
    DEAD = 3
    GONE = 4
    FORK = 5
    EXEC = 6
    PATH = 7
    LOST = 8
    TRIAL = 9


class Decline(enum.IntEnum):
    """``enum ub_decline``."""

    NONE = 0
    WORK = 1
    RESTART = 2
    FLAGS = 3
    REGISTERS = 4
    FSBASE = 5
    X87 = 6
    STACK = 7
    DEAD = 8
    SECCOMP = 9
    PTRACE = 10
    AUDIT = 11
    TRACEPOINT = 12
    SYSCALL_WORK = 13
    STEP = 14
    NOTSC = 15
    VCPU = 16
    BREAKPOINT = 17
    RSEQ = 18
    SHADOW_STACK = 19
    USER_TIME = 20


#: The first of the lasting reasons: a thread with one of them is always declined.
DECLINE_LASTING = Decline.SECCOMP


class Tunable(enum.IntEnum):
    """``enum ub_tunable``."""

    GAP_NS = 0
    HOT_CALLS = 1
    WINDOW_MS = 2
    BUDGET = 3
    MISS_EVENTS = 4
    REARM_MS = 5
    SAMPLE_BITS = 6
    IDLE_RUNS = 7
    PATH_STEPS = 8
    GRACE_MS = 9
    SHARE_BITS = 10
    REST_BITS = 11


class SiteVerdict(enum.IntEnum):
    """``enum ub_site_verdict``."""

    OPEN = 0
    HOT = 1
    RARE = 2
    LONG = 3
    BUSY = 4
    ENTRY = 5


class TrialState(enum.IntEnum):
    """``enum ub_trial_state``."""

    NONE = 0
    ON = 1
    OVER = 2
    IDLE = 3


class UbEntry(ctypes.Structure):
    """``struct ub_entry``."""

    _fields_: ClassVar = [
        ("user_ip", c_uint64),
        ("code_offset", c_uint32),
        ("nr", c_uint32),
    ]


class UbExit(ctypes.Structure):
    """``struct ub_exit``."""

    _fields_: ClassVar = [
        ("user_ip", c_uint64),
        ("cx", c_uint64),
        ("reason", c_uint32),
        ("flags", c_uint32),
    ]


class UbFault(ctypes.Structure):
    """``struct ub_fault``."""

    _fields_: ClassVar = [("code_offset", c_uint32), ("fixup_offset", c_uint32)]


class UbDispatch(ctypes.Structure):
    """``struct ub_dispatch``."""

    _fields_: ClassVar = [
        ("code_offset", c_uint32),
        ("nr", c_uint32),
        ("pre_offset", c_uint32),
        ("post_offset", c_uint32),
        ("user_ip", c_uint64),
    ]


class UbSource(ctypes.Structure):
    """``struct ub_source``."""

    _fields_: ClassVar = [("start", c_uint64), ("length", c_uint64)]


class UbInfo(ctypes.Structure):
    """``struct ub_info``."""

    _fields_: ClassVar = [
        ("abi", c_uint32),
        ("dispatch_size", c_uint32),
        ("max_code", c_uint32),
        ("max_regions", c_uint32),
        ("max_faults", c_uint32),
        ("arena_size", c_uint32),
        ("task_size_max", c_uint64),
        ("dispatch_vector_size", c_uint32),
        ("flags", c_uint32),
        ("args", c_uint8 * 512),
    ]


class UbAttach(ctypes.Structure):
    """``struct ub_attach``."""

    _fields_: ClassVar = [("pid", c_int32), ("flags", c_uint32), ("proc", c_uint64)]


class UbDetach(ctypes.Structure):
    """``struct ub_detach``."""

    _fields_: ClassVar = [("proc", c_uint64), ("flags", c_uint64)]


class UbLoad(ctypes.Structure):
    """``struct ub_load``."""

    _fields_: ClassVar = [
        ("proc", c_uint64),
        ("flags", c_uint32),
        ("replace", c_uint32),
        ("code", c_uint64),
        ("entries", c_uint64),
        ("exits", c_uint64),
        ("faults", c_uint64),
        ("dispatches", c_uint64),
        ("jumps", c_uint64),
        ("sources", c_uint64),
        ("bytes", c_uint64),
        ("code_length", c_uint32),
        ("nr_entries", c_uint32),
        ("nr_exits", c_uint32),
        ("nr_faults", c_uint32),
        ("nr_dispatches", c_uint32),
        ("nr_jumps", c_uint32),
        ("nr_sources", c_uint32),
        ("bytes_length", c_uint32),
        ("region", c_uint32),
        ("trial_ns", c_uint32),
    ]


class UbUnload(ctypes.Structure):
    """``struct ub_unload``."""

    _fields_: ClassVar = [
        ("proc", c_uint64),
        ("region", c_uint32),
        ("flags", c_uint32),
    ]


class UbTrial(ctypes.Structure):
    """``struct ub_trial``."""

    _fields_: ClassVar = [
        ("proc", c_uint64),
        ("region", c_uint32),
        ("flags", c_uint32),
        ("grant_ns", c_uint64),
        ("lease_ns", c_uint64),
        ("saving_ns", c_uint32),
        ("run_ns", c_uint32),
        ("left_ns", c_int64),
        ("spent_ns", c_uint64),
        ("runs", c_uint64),
        ("lost_ns", c_uint64),
        ("cpu_ns", c_uint64),
        ("state", c_uint32),
        ("reserved", c_uint32),
    ]


class UbStats(ctypes.Structure):
    """``struct ub_stats``."""

    _fields_: ClassVar = [
        ("proc", c_uint64),
        ("flags", c_uint64),
        ("native", c_uint64),
        ("dispatched", c_uint64),
        ("runs", c_uint64),
        ("declined", c_uint64),
        ("exits", c_uint64 * _EXIT_SLOTS),
        ("declines", c_uint64 * DECLINE_SLOTS),
        ("attach_ns", c_uint64),
        ("first_run_ns", c_uint64),
        ("events_lost", c_uint64),
        ("uncounted_ns", c_uint64),
        ("filtered", c_uint64),
        ("regions", c_uint32),
        ("code_bytes", c_uint32),
        ("always", c_uint32),
        ("reserved", c_uint32),
    ]


class UbRegions(ctypes.Structure):
    """``struct ub_regions``."""

    _fields_: ClassVar = [
        ("proc", c_uint64),
        ("regions", c_uint64),
        ("max", c_uint32),
        ("flags", c_uint32),
        ("count", c_uint32),
        ("reserved", c_uint32),
    ]


class UbCounts(ctypes.Structure):
    """``struct ub_counts``."""

    _fields_: ClassVar = [
        ("proc", c_uint64),
        ("region", c_uint32),
        ("flags", c_uint32),
        ("exits", c_uint64),
        ("nr_exits", c_uint32),
        ("reserved", c_uint32),
        ("dispatched", c_uint64),
        ("runs", c_uint64),
    ]


class UbSiteInfo(ctypes.Structure):
    """``struct ub_site_info``."""

    _fields_: ClassVar = [
        ("ip", c_uint64),
        ("nr", c_uint32),
        ("verdict", c_uint32),
        ("native_ns", c_uint64),
        ("boosted_ns", c_uint64),
        ("overhead_ns", c_uint64),
        ("native_samples", c_uint32),
        ("boosted_samples", c_uint32),
        ("runs", c_uint64),
        ("dispatched", c_uint64),
    ]


class UbSites(ctypes.Structure):
    """``struct ub_sites``."""

    _fields_: ClassVar = [
        ("proc", c_uint64),
        ("sites", c_uint64),
        ("max", c_uint32),
        ("flags", c_uint32),
        ("count", c_uint32),
        ("reserved", c_uint32),
    ]


class UbPath(ctypes.Structure):
    """``struct ub_path``."""

    _fields_: ClassVar = [
        ("proc", c_uint64),
        ("ips", c_uint64),
        ("max", c_uint32),
        ("flags", c_uint32),
        ("ip", c_uint64),
        ("nr", c_uint32),
        ("count", c_uint32),
        ("next_nr", c_uint32),
        ("reserved", c_uint32),
    ]


class UbTune(ctypes.Structure):
    """``struct ub_tune``."""

    _fields_: ClassVar = [
        ("what", c_uint32),
        ("flags", c_uint32),
        ("value", c_uint64),
    ]


class UbEvent(ctypes.Structure):
    """``struct ub_event``."""

    _fields_: ClassVar = [
        ("type", c_uint32),
        ("nr", c_uint32),
        ("proc", c_uint64),
        ("time_ns", c_uint64),
        ("tid", c_uint32),
        ("region", c_uint32),
        ("ip", c_uint64),
        ("target", c_uint64),
        ("sp", c_uint64),
        ("gap_ns", c_uint64),
        ("exit", c_uint32),
        ("stack_words", c_uint32),
        ("stack", c_uint64 * EVENT_STACK),
    ]


def _ioc(direction: int, number: int, structure: type[ctypes.Structure]) -> int:
    # asm-generic/ioctl.h: direction, size, type and number, from the top.
    return direction << 30 | ctypes.sizeof(structure) << 16 | ord("u") << 8 | number


_WRITE = 1
_READ = 2

IOC_INFO = _ioc(_READ, 0xB0, UbInfo)
IOC_ATTACH = _ioc(_READ | _WRITE, 0xB1, UbAttach)
IOC_DETACH = _ioc(_WRITE, 0xB2, UbDetach)
IOC_LOAD = _ioc(_READ | _WRITE, 0xB3, UbLoad)
IOC_UNLOAD = _ioc(_WRITE, 0xB4, UbUnload)
IOC_STATS = _ioc(_READ | _WRITE, 0xB5, UbStats)
IOC_COUNTS = _ioc(_READ | _WRITE, 0xB6, UbCounts)
IOC_TUNE = _ioc(_READ | _WRITE, 0xB7, UbTune)
IOC_SITES = _ioc(_READ | _WRITE, 0xB8, UbSites)
IOC_PATH = _ioc(_READ | _WRITE, 0xB9, UbPath)
IOC_REGIONS = _ioc(_READ | _WRITE, 0xBA, UbRegions)
IOC_TRIAL = _ioc(_READ | _WRITE, 0xBB, UbTrial)
