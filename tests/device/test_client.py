# SPDX-License-Identifier: GPL-2.0-only
"""What goes over to the module and what comes back, with a played module."""

from __future__ import annotations

import ctypes
import errno
import os
import pathlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from ubypass.abi import (
    ABI_VERSION,
    INFOF_SECCOMP,
    INFOF_X87,
    LOADF_TRUSTED,
    LOADF_VECTOR,
    LOADF_X87,
    Dispatch,
    Entry,
    Exit,
    ExitFlag,
    ExitReason,
    Fault,
    Source,
    Translation,
)
from ubypass.device import client, uapi
from ubypass.device.client import Device, Gone, SourceChanged, parse_events
from ubypass.device.types import Counts, Lease, Path, Site, Trial
from ubypass.device.uapi import (
    Decline,
    EventType,
    SiteVerdict,
    TrialState,
    Tunable,
)
from ubypass.errors import UbError
from ubypass.version import VERSION

_Answer = Callable[[ctypes.Structure], None]

_TRANSLATION = Translation(
    code=b"\x90\xcc\xcc\0",
    entries=(Entry(0x401002, 0, 39),),
    exits=(
        Exit(0x401000, ExitReason.WORK, ExitFlag.SLOT_SYSFLAGS, cx=0),
        Exit(
            0x7FFF_F000_0002,
            ExitReason.DISPATCHED,
            ExitFlag.DISPATCHED | ExitFlag.CX_SYS,
            cx=0x7FFF_F000_0002,
        ),
    ),
    faults=(Fault(1, 2),),
    dispatches=(Dispatch(1, 17, 2, 3, 0x7FFF_F000_0002),),
    jumps=(3, 2),
    sources=(Source(0x401000, b"\x0f\x05"), Source(0x402000, b"\xc3")),
    constants=4,
)


class _Module:
    """Answers ioctls; ``answers`` maps a request to what it does."""

    def __init__(self) -> None:
        self.answers: dict[int, _Answer] = {uapi.IOC_INFO: self.info}
        self.abi = ABI_VERSION

    def info(self, argument: ctypes.Structure) -> None:
        assert isinstance(argument, uapi.UbInfo)
        argument.abi = self.abi
        argument.dispatch_size = 96
        argument.max_code = 65536
        argument.dispatch_vector_size = 200
        argument.task_size_max = (1 << 47) - 4096
        argument.max_regions = 256
        argument.flags = INFOF_X87 | INFOF_SECCOMP
        ctypes.memset(ctypes.addressof(argument) + uapi.UbInfo.args.offset, 0xFF, 512)
        argument.args[17] = 4
        argument.args[39] = 0

    def ioctl(self, fd: int, request: int, argument: ctypes.Structure) -> int:
        self.answers[request](argument)
        return 0


def _fail(number: int) -> _Answer:
    def answer(argument: ctypes.Structure) -> None:
        raise OSError(number, os.strerror(number))

    return answer


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> _Module:
    module = _Module()
    monkeypatch.setattr(client, "ioctl", module.ioctl)
    return module


@pytest.fixture
def device(module: _Module) -> Iterator[Device]:
    with Device("/dev/null") as device:
        yield device


def test_info_becomes_an_abi(device: Device) -> None:
    abi = device.info()
    assert (abi.dispatch_size, abi.dispatch_vector_size) == (96, 200)
    assert abi.x87
    assert abi.filters
    assert abi.max_code == 65536
    assert abi.args == {17: 4, 39: 0}


def test_load_hands_over_every_table(module: _Module, device: Device) -> None:
    seen: dict[str, object] = {}

    def load(argument: ctypes.Structure) -> None:
        assert isinstance(argument, uapi.UbLoad)
        a = argument
        seen["code"] = ctypes.string_at(a.code, a.code_length)
        seen["bytes"] = ctypes.string_at(a.bytes, a.bytes_length)
        for name, structure, number in (
            ("entries", uapi.UbEntry, a.nr_entries),
            ("exits", uapi.UbExit, a.nr_exits),
            ("faults", uapi.UbFault, a.nr_faults),
            ("dispatches", uapi.UbDispatch, a.nr_dispatches),
            ("sources", uapi.UbSource, a.nr_sources),
        ):
            rows = (structure * number).from_address(getattr(a, name))
            seen[name] = [
                tuple(getattr(row, field[0]) for field in structure._fields_)
                for row in rows
            ]
        seen["jumps"] = list((ctypes.c_uint32 * a.nr_jumps).from_address(a.jumps))
        seen["proc"] = a.proc
        seen["flags"] = a.flags
        seen["replace"] = a.replace
        a.region = 7

    module.answers[uapi.IOC_LOAD] = load
    assert device.load(5, _TRANSLATION, replace=3) == 7
    assert seen == {
        "code": b"\x90\xcc\xcc\0",
        "bytes": b"\x0f\x05\xc3",
        "entries": [(0x401002, 0, 39)],
        "exits": [
            (0x401000, 0, 8, 2),
            (0x7FFF_F000_0002, 0x7FFF_F000_0002, 9, 36),
        ],
        "faults": [(1, 2)],
        "dispatches": [(1, 17, 2, 3, 0x7FFF_F000_0002)],
        "sources": [(0x401000, 2), (0x402000, 1)],
        "jumps": [3, 2],
        "proc": 5,
        "flags": 0,
        "replace": 3,
    }


def test_code_with_vector_registers_is_announced(
    module: _Module, device: Device
) -> None:
    flags = []
    module.answers[uapi.IOC_LOAD] = lambda argument: flags.append(
        getattr(argument, "flags")  # noqa: B009
    )
    device.load(5, replace(_TRANSLATION, vector=True))
    device.load(5, replace(_TRANSLATION, vector=True, x87=True))
    assert flags == [LOADF_VECTOR, LOADF_VECTOR | LOADF_X87]


def test_code_without_clamps_is_announced(module: _Module, device: Device) -> None:
    flags = []
    module.answers[uapi.IOC_LOAD] = lambda argument: flags.append(
        getattr(argument, "flags")  # noqa: B009
    )
    device.load(5, replace(_TRANSLATION, trusted=True))
    device.load(5, replace(_TRANSLATION, trusted=True, vector=True))
    assert flags == [LOADF_TRUSTED, LOADF_TRUSTED | LOADF_VECTOR]


def test_trust_is_said_when_attaching(module: _Module, device: Device) -> None:
    flags = []
    module.answers[uapi.IOC_ATTACH] = lambda argument: flags.append(
        getattr(argument, "flags")  # noqa: B009
    )
    device.attach(1)
    device.attach(1, trusted=True)
    device.attach(1, children=True, trusted=True)
    assert flags == [0, uapi.ATTACHF_TRUSTED, 3]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EAGAIN, SourceChanged),
        (errno.ESRCH, Gone),
        (errno.ENOENT, Gone),
        (errno.ENOSPC, UbError),
    ],
)
def test_failed_loads(
    module: _Module, device: Device, number: int, kind: type[Exception]
) -> None:
    module.answers[uapi.IOC_LOAD] = _fail(number)
    with pytest.raises(kind):
        device.load(1, _TRANSLATION)


def test_a_load_that_waited_in_vain_says_why(module: _Module, device: Device) -> None:
    module.answers[uapi.IOC_LOAD] = _fail(errno.ETIMEDOUT)
    with pytest.raises(UbError, match="memory map of the program is locked"):
        device.load(1, _TRANSLATION)


def test_stats_and_counts_are_read(module: _Module, device: Device) -> None:
    def stats(argument: ctypes.Structure) -> None:
        assert isinstance(argument, uapi.UbStats)
        assert argument.proc == 9
        argument.native, argument.dispatched, argument.runs = 10, 1000, 4
        argument.exits[ExitReason.RET_MISS] = 3
        argument.first_run_ns = 123

    def counts(argument: ctypes.Structure) -> None:
        assert isinstance(argument, uapi.UbCounts)
        exits = (ctypes.c_uint64 * argument.nr_exits).from_address(argument.exits)
        exits[:] = [11, 12, 13]
        argument.dispatched, argument.runs = 50, 5

    module.answers[uapi.IOC_STATS] = stats
    module.answers[uapi.IOC_COUNTS] = counts
    result = device.stats(9)
    assert (result.native, result.dispatched, result.runs) == (10, 1000, 4)
    assert result.exits[ExitReason.RET_MISS] == 3
    assert ExitReason.NONE not in result.exits
    assert result.first_run_ns == 123
    assert device.counts(9, 1, 3) == Counts((11, 12, 13), 50, 5)
    module.answers[uapi.IOC_STATS] = _fail(errno.ESRCH)
    with pytest.raises(Gone):
        device.stats(9)


def test_tuning_sets_only_when_asked(module: _Module, device: Device) -> None:
    state = {Tunable.HOT_CALLS: 50}

    def tune(argument: ctypes.Structure) -> None:
        assert isinstance(argument, uapi.UbTune)
        before = state[Tunable(argument.what)]
        if argument.flags & uapi.TUNEF_SET:
            state[Tunable(argument.what)] = argument.value
        argument.value = before

    module.answers[uapi.IOC_TUNE] = tune
    assert device.tune(Tunable.HOT_CALLS) == 50
    assert device.tune(Tunable.HOT_CALLS, 7) == 50
    assert device.tune(Tunable.HOT_CALLS) == 7


def test_detach_and_unload_do_not_mind_what_is_gone(
    module: _Module, device: Device
) -> None:
    module.answers[uapi.IOC_DETACH] = _fail(errno.ENOENT)
    module.answers[uapi.IOC_UNLOAD] = _fail(errno.ESRCH)
    device.detach(1)
    device.unload(1, 1)
    module.answers[uapi.IOC_DETACH] = _fail(errno.EIO)
    with pytest.raises(UbError, match="detach"):
        device.detach(1)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ESRCH, "no process 77"),
        (errno.EPERM, "no permission"),
        (errno.EBUSY, "already attached"),
        (errno.EADDRINUSE, "all system call handlers are in use by others"),
        (errno.ETIMEDOUT, "map is locked"),
        (errno.EINVAL, "no user memory"),
        (errno.ENOEXEC, "32-bit"),
        (errno.EIO, "refused to attach to process 77"),
    ],
)
def test_refused_attachments_say_why(
    module: _Module, device: Device, number: int, text: str
) -> None:
    module.answers[uapi.IOC_ATTACH] = _fail(number)
    with pytest.raises(UbError, match=text):
        device.attach(77)


def test_a_process_in_its_exec_is_waited_for(module: _Module, device: Device) -> None:
    tries = 0

    def attach(argument: ctypes.Structure) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise OSError(errno.EAGAIN, "")
        assert isinstance(argument, uapi.UbAttach)
        argument.proc = 9

    module.answers[uapi.IOC_ATTACH] = attach
    assert device.attach(7) == 9
    assert tries == 3


def test_but_not_for_ever(
    module: _Module, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_ATTACH_PAUSE", 0.0)
    module.answers[uapi.IOC_ATTACH] = _fail(errno.EAGAIN)
    with pytest.raises(UbError, match="shares its parent's memory"):
        device.attach(7)


def test_sites_are_read(module: _Module, device: Device) -> None:
    def sites(argument: ctypes.Structure) -> None:
        assert isinstance(argument, uapi.UbSites)
        assert (argument.proc, argument.max) == (5, uapi.SITES_MAX)
        rows = (uapi.UbSiteInfo * 2).from_address(argument.sites)
        rows[0] = uapi.UbSiteInfo(0x401002, 39, 5, 310, 95, 120, 8, 4, 16, 800)
        rows[1] = uapi.UbSiteInfo(0x402002, 0, 3, 9000)
        argument.count = 2

    module.answers[uapi.IOC_SITES] = sites
    assert device.sites(5) == [
        Site(0x401002, 39, SiteVerdict.ENTRY, 310, 95, 120, 8, 4, 16, 800),
        Site(0x402002, 0, SiteVerdict.LONG, 9000),
    ]


def test_a_traced_gap_is_fetched_once(module: _Module, device: Device) -> None:
    def path(argument: ctypes.Structure) -> None:
        assert isinstance(argument, uapi.UbPath)
        assert (argument.proc, argument.max) == (5, uapi.PATH_MAX)
        ips = (ctypes.c_uint64 * 3).from_address(argument.ips)
        ips[:] = [0x401002, 0x401005, 0x401000]
        argument.ip, argument.nr, argument.count = 0x401002, 17, 3
        argument.next_nr = 39

    module.answers[uapi.IOC_PATH] = path
    traced = Path(0x401002, 17, (0x401002, 0x401005, 0x401000), 39)
    assert device.path(5) == traced
    assert traced.key == (0x401002, 17)
    assert traced.next_key == (0x401002, 39)

    def rest(argument: ctypes.Structure) -> None:
        assert isinstance(argument, uapi.UbPath)
        argument.ip, argument.nr, argument.count = 0x401007, uapi.PATH_MISS, 0
        argument.next_nr = uapi.PATH_MISS

    module.answers[uapi.IOC_PATH] = rest
    assert device.path(5) == Path(0x401007, None, ())
    module.answers[uapi.IOC_PATH] = _fail(errno.EAGAIN)
    assert device.path(5) is None
    module.answers[uapi.IOC_PATH] = _fail(errno.ENOENT)
    with pytest.raises(Gone):
        device.path(5)


def test_events_are_decoded_and_unknown_ones_skipped() -> None:
    hot = uapi.UbEvent(
        type=1, nr=17, proc=4, time_ns=99, tid=5, ip=0x401002, sp=0x7FFC, gap_ns=300
    )
    hot.stack[0], hot.stack[1], hot.stack[2] = 1, 2, 3
    hot.stack_words = 2
    later = uapi.UbEvent(type=200)
    miss = uapi.UbEvent(type=2, nr=2, proc=4, region=1, ip=8, target=9, exit=6)
    events = parse_events(bytes(hot) + bytes(later) + bytes(miss) + b"\0" * 10)
    assert [event.type for event in events] == [EventType.HOT, EventType.MISS]
    assert events[0].stack == (1, 2)
    assert (events[0].ip, events[0].nr, events[0].gap_ns) == (0x401002, 17, 300)
    assert (events[1].ip, events[1].target, events[1].exit) == (8, 9, 6)


def test_more_stack_words_than_there_are_is_not_believed() -> None:
    event = uapi.UbEvent(type=1, stack_words=4000)
    assert len(parse_events(bytes(event))[0].stack) == uapi.EVENT_STACK


def test_regions_that_live(module: _Module, device: Device) -> None:
    def regions(argument: ctypes.Structure) -> None:
        assert isinstance(argument, uapi.UbRegions)
        assert (argument.proc, argument.max) == (5, 256)
        numbers = (ctypes.c_uint32 * 2).from_address(argument.regions)
        numbers[:] = [7, 9]
        argument.count = 2

    module.answers[uapi.IOC_REGIONS] = regions
    assert device.regions(5) == {7, 9}
    module.answers[uapi.IOC_REGIONS] = _fail(errno.ENOENT)
    with pytest.raises(Gone):
        device.regions(5)


def test_why_something_is_declined(module: _Module, device: Device) -> None:
    def stats(argument: ctypes.Structure) -> None:
        assert isinstance(argument, uapi.UbStats)
        argument.declines[Decline.SECCOMP] = 12
        argument.always = Decline.SECCOMP
        argument.filtered = 3
        argument.flags = uapi.STATSF_GONE | uapi.STATSF_TRUSTED | uapi.STATSF_RESTING

    module.answers[uapi.IOC_STATS] = stats
    found = device.stats(5)
    assert found.declines[Decline.SECCOMP] == 12
    assert sum(found.declines.values()) == 12
    assert found.always is Decline.SECCOMP
    assert found.filtered == 3
    assert found.gone
    assert found.trusted
    assert found.resting


@pytest.mark.parametrize(
    ("number", "lockdown", "words"),
    [
        (errno.EACCES, "", "no permission"),
        (errno.EPERM, "", "CAP_SYS_MODULE"),
        (errno.EPERM, "[none] integrity confidentiality", "CAP_SYS_MODULE"),
        (errno.EPERM, "none [integrity] confidentiality", "locked down"),
    ],
)
def test_why_the_device_cannot_be_opened(
    monkeypatch: pytest.MonkeyPatch, number: int, lockdown: str, words: str
) -> None:
    def refuse(path: str, flags: int) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(client.os, "open", refuse)
    monkeypatch.setattr(client.Path, "read_text", lambda path: lockdown)
    with pytest.raises(UbError, match=words) as caught:
        Device()
    assert caught.value.hint


def test_a_missing_module_is_said_in_one_line() -> None:
    with pytest.raises(UbError, match="not loaded") as caught:
        Device("/dev/ub-that-does-not-exist")
    assert caught.value.hint == "ub module load"


_OTHER = "the module that is loaded is of another version than this ub: "


@pytest.mark.parametrize(("step", "age"), [(-1, "older"), (1, "newer")])
def test_another_version_of_the_module_is_refused(
    module: _Module, step: int, age: str
) -> None:
    module.abi += step
    with pytest.raises(UbError) as caught:
        Device("/dev/null")
    assert caught.value.message == (
        f"{_OTHER}it is {age}, with interface {ABI_VERSION + step}; "
        f"ub has interface {ABI_VERSION}"
    )
    assert "ub module unload && " in caught.value.hint
    assert "ub module load" in caught.value.hint


@pytest.mark.parametrize(
    ("release", "what"),
    [
        ("0.0.9\n", f"it is older, version 0.0.9; ub is version {VERSION}"),
        ("0.0.10\n", f"it is older, version 0.0.10; ub is version {VERSION}"),
        ("1000.0.0\n", f"it is newer, version 1000.0.0; ub is version {VERSION}"),
        (
            f"{VERSION}.1\n",
            f"it is newer, version {VERSION}.1; ub is version {VERSION}",
        ),
        (f"{VERSION}\n", f"both are {VERSION}, but with different interfaces"),
        ("next week's\n", f"its version is unknown; ub is version {VERSION}"),
        (None, f"its version is unknown; ub is version {VERSION}"),
    ],
)
def test_a_module_that_does_not_know_the_first_request_is_of_another_version(
    module: _Module,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
    release: str | None,
    what: str,
) -> None:
    """The size of its structure is part of the request's number."""
    file = tmp_path / "version"
    if release is not None:
        file.write_text(release)
    monkeypatch.setattr(client, "_MODULE_VERSION", file)
    module.answers[uapi.IOC_INFO] = _fail(errno.ENOTTY)
    with pytest.raises(UbError) as caught:
        Device("/dev/null")
    assert caught.value.message == _OTHER + what
    assert "ub module unload && " in caught.value.hint


def test_other_errors_of_the_first_request_keep_their_reason(module: _Module) -> None:
    module.answers[uapi.IOC_INFO] = _fail(errno.ENOMEM)
    with pytest.raises(UbError, match=os.strerror(errno.ENOMEM)):
        Device("/dev/null")


def test_a_device_without_our_requests_is_told_apart() -> None:
    """The real ioctl, on a device that has none of the module's."""
    with pytest.raises(UbError, match="another version"):
        Device("/dev/null")


def test_a_region_is_loaded_on_trial_or_not(module: _Module, device: Device) -> None:
    credits: list[int] = []

    def load(argument: ctypes.Structure) -> None:
        assert isinstance(argument, uapi.UbLoad)
        credits.append(argument.trial_ns)

    module.answers[uapi.IOC_LOAD] = load
    device.load(1, _TRANSLATION)
    device.load(1, _TRANSLATION, trial_ns=250_000)
    device.load(1, _TRANSLATION, trial_ns=1 << 40)
    assert credits == [0, 250_000, (1 << 32) - 1]


def test_run_time_is_granted_confirmed_and_asked_for(
    module: _Module, device: Device
) -> None:
    asked: list[tuple[int, ...]] = []
    prices: list[tuple[int, int]] = []

    def answer(argument: ctypes.Structure) -> None:
        assert isinstance(argument, uapi.UbTrial)
        a = argument
        asked.append((a.proc, a.region, a.flags, a.grant_ns, a.lease_ns))
        prices.append((a.saving_ns, a.run_ns))
        a.state, a.left_ns, a.spent_ns, a.runs = TrialState.OVER, -7, 500_007, 9
        a.lost_ns = 12

    module.answers[uapi.IOC_TRIAL] = answer
    was = Trial(TrialState.OVER, -7, 500_007, 9, 12)
    assert device.trial(3, 4) == was
    assert device.grant(3, 4, 250_000) == was
    assert device.confirm(3, 4) == was
    assert device.confirm(3, 4, Lease(5e6)) == was
    device.grant(3, 4, 1 << 60)
    device.confirm(3, 4, Lease(2.0**60, 1e12, 1e12))
    device.confirm(3, 4, Lease(10.0, 106.6, 69.8, timed=True))
    # Whoever saves nothing is not renewed, and needs no other price.
    device.confirm(3, 4, Lease(5e6, -3.0, 70.0, timed=True))
    confirm = uapi.TRIALF_CONFIRM
    most = (1 << 31) - 1
    assert prices == [(0, 0)] * 5 + [(most, most), (107, 70), (0, 0)]
    assert asked == [
        (3, 4, 0, 0, 0),
        (3, 4, 0, 250_000, 0),
        (3, 4, confirm, 0, 0),
        (3, 4, confirm, 0, 5_000_000),
        (3, 4, 0, uapi.TRIAL_GRANT_MAX, 0),
        (3, 4, confirm, 0, uapi.TRIAL_LEASE_MAX),
        (3, 4, confirm | uapi.TRIALF_TIMED, 0, uapi.TRIAL_LEASE_MIN),
        (3, 4, confirm, 0, 5_000_000),
    ]


def test_a_region_that_is_gone_is_granted_nothing(
    module: _Module, device: Device
) -> None:
    module.answers[uapi.IOC_TRIAL] = _fail(errno.ENOENT)
    with pytest.raises(Gone):
        device.grant(3, 4, 1)
    module.answers[uapi.IOC_TRIAL] = _fail(errno.EINVAL)
    with pytest.raises(UbError, match="limit the calls that a region dispatches"):
        device.confirm(3, 4)


def test_cpu_time_is_asked_for_without_a_region(
    module: _Module, device: Device
) -> None:
    def answer(argument: ctypes.Structure) -> None:
        assert isinstance(argument, uapi.UbTrial)
        assert (argument.region, argument.flags, argument.grant_ns) == (0, 0, 0)
        argument.cpu_ns = 12_345 * argument.proc

    module.answers[uapi.IOC_TRIAL] = answer
    assert device.cpu_ns(2) == 24_690
    module.answers[uapi.IOC_TRIAL] = _fail(errno.ESRCH)
    with pytest.raises(Gone):
        device.cpu_ns(2)
