# SPDX-License-Identifier: GPL-2.0-only
"""``/dev/ub`` as a class: attach, load, read counters and events.

When a :class:`Device` is closed, the kernel detaches and unloads everything made
through it, even if this process is killed. Makes no decisions.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import time
from collections.abc import Sequence
from fcntl import ioctl
from pathlib import Path
from typing import TypeVar

from ubypass.abi import (
    ABI_VERSION,
    INFOF_FRED,
    INFOF_SECCOMP,
    INFOF_X87,
    LOADF_TRUSTED,
    LOADF_VECTOR,
    LOADF_X87,
    SYSCALL_NONE,
    Abi,
    ExitReason,
    Translation,
)
from ubypass.device import uapi
from ubypass.device.types import Counts, Event, Lease, Site, Stats, Trial
from ubypass.device.types import Path as GapPath
from ubypass.errors import UbError, permission_hint
from ubypass.places import packaged
from ubypass.processor import features
from ubypass.version import VERSION

__all__ = ["DEVICE_PATH", "Device", "Gone", "SourceChanged", "parse_events"]

DEVICE_PATH = "/dev/ub"
#: Hint for a module of another version than this program.
_RELOAD = (
    "ub module unload && ub module load; if that fails: the packages ubypass and "
    "ubypass-dkms must have the same version"
    if packaged()
    else "ub module unload && ub module build && ub module load"
)
_LOCKED = "somebody keeps it locked: a file system may not answer"
#: The MODULE_VERSION of the loaded module.
_MODULE_VERSION = Path("/sys/module/ub/version")
_EVENT_SIZE = ctypes.sizeof(uapi.UbEvent)
_TRIAL_MOST = (1 << 32) - 1  # ns, in struct ub_load
_PRICE_MOST = (1 << 31) - 1  # ns, in struct ub_trial
_EVENTS_PER_READ = 256
_ATTACH_TRIES = 100
_ATTACH_PAUSE = 0.001  # seconds

_S = TypeVar("_S", bound=ctypes.Structure)


class SourceChanged(Exception):
    """The program's code differs from the source of the translation (EAGAIN)."""


class Gone(Exception):
    """The process or the region does not exist any more (ESRCH, ENOENT)."""


class Device:
    """An open ``/dev/ub``; a context manager. Needs root and the module.

    Methods raise :class:`Gone` if the process has exited meanwhile, and ``UbError`` for
    errors that need a person; the constructor also for a module of another version.
    """

    def __init__(self, path: str = DEVICE_PATH) -> None:
        self._fd = _open(path)
        try:
            self._info = self._handshake()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Detach everything and close the device."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def fileno(self) -> int:
        """The file descriptor, for select and poll: readable if events are pending."""
        return self._fd

    def info(self) -> Abi:
        """The properties of this module that generated code depends on."""
        info = self._info
        return Abi(
            dispatch_size=info.dispatch_size,
            dispatch_vector_size=info.dispatch_vector_size,
            max_code=info.max_code,
            task_size_max=info.task_size_max,
            args={n: a for n, a in enumerate(info.args) if a != SYSCALL_NONE},
            x87=bool(info.flags & INFOF_X87),
            features=features(),
            filters=bool(info.flags & INFOF_SECCOMP),
            fred=bool(info.flags & INFOF_FRED),
        )

    def attach(self, pid: int, *, children: bool = False, trusted: bool = False) -> int:
        """Attach to all threads of ``pid``; return the number of the attachment.

        ``children``: report forks of the process and execs of its descendants.
        ``trusted``: translations of trusted programs may be loaded. Waits up to 0.1 s
        for a process in the middle of an exec.
        """
        flags = uapi.ATTACHF_CHILDREN if children else 0
        flags |= uapi.ATTACHF_TRUSTED if trusted else 0
        for left in reversed(range(_ATTACH_TRIES)):
            try:
                request = uapi.UbAttach(pid=pid, flags=flags)
                proc: int = self._call(uapi.IOC_ATTACH, request).proc
                return proc
            except OSError as error:
                if error.errno != errno.EAGAIN or not left:
                    raise _attach_error(pid, error) from error
                time.sleep(_ATTACH_PAUSE)
        raise AssertionError("unreachable")

    def detach(self, proc: int) -> None:
        """Detach; the process continues natively. No error if it has ended."""
        try:
            self._call(uapi.IOC_DETACH, uapi.UbDetach(proc=proc))
        except OSError as error:
            if error.errno not in (errno.ESRCH, errno.ENOENT):
                raise _device_error("detach", error) from error

    def load(
        self,
        proc: int,
        translation: Translation,
        replace: int = 0,
        *,
        trial_ns: int = 0,
    ) -> int:
        """Make ``translation`` live instead of region ``replace`` (0: none).

        ``trial_ns``: credit of run time of a region on trial (see :meth:`grant`); 0: no
        trial. Returns the region's number. Raises :class:`SourceChanged` if the
        program's code has changed since it was read.
        """
        # The request contains plain addresses: the buffers must outlive the call.
        request, _buffers = _load_request(proc, translation, replace)
        request.trial_ns = min(trial_ns, _TRIAL_MOST)
        try:
            region: int = self._call(uapi.IOC_LOAD, request).region
        except OSError as error:
            if error.errno == errno.EAGAIN:
                raise SourceChanged from error
            if error.errno in (errno.ESRCH, errno.ENOENT):
                raise Gone from error
            if error.errno == errno.ETIMEDOUT:
                raise UbError(
                    "cannot load a region: the memory map of the program is locked",
                    _LOCKED,
                ) from error
            raise _device_error("load a region", error) from error
        return region

    def unload(self, proc: int, region: int) -> None:
        """Unload a region. No error if it does not exist any more."""
        try:
            self._call(uapi.IOC_UNLOAD, uapi.UbUnload(proc=proc, region=region))
        except OSError as error:
            if error.errno not in (errno.ESRCH, errno.ENOENT):
                raise _device_error("unload a region", error) from error

    def trial(self, proc: int, region: int) -> Trial:
        """The state of a region's trial: its credit and the run time used."""
        return self._trial(uapi.UbTrial(proc=proc, region=region))

    def grant(self, proc: int, region: int, ns: int) -> Trial:
        """Put a region on trial if it is not, and add ``ns`` of run time to its credit.

        Returns the state before. Raises :class:`Gone`.
        """
        ns = min(ns, uapi.TRIAL_GRANT_MAX)
        return self._trial(uapi.UbTrial(proc=proc, region=region, grant_ns=ns))

    def confirm(self, proc: int, region: int, lease: Lease | None = None) -> Trial:
        """Let a region run without a limit while its ``lease`` lasts.

        ``lease`` None: without a lease. Returns the state before. Raises :class:`Gone`.
        """
        request = uapi.UbTrial(proc=proc, region=region, flags=uapi.TRIALF_CONFIRM)
        if lease is not None:
            least, most = uapi.TRIAL_LEASE_MIN, uapi.TRIAL_LEASE_MAX
            request.lease_ns = min(max(round(lease.ns), least), most)
            request.saving_ns = min(max(round(lease.saving), 0), _PRICE_MOST)
            if request.saving_ns:
                request.run_ns = min(max(round(lease.run), 0), _PRICE_MOST)
                request.flags |= uapi.TRIALF_TIMED if lease.timed else 0
        return self._trial(request)

    def cpu_ns(self, proc: int) -> int:
        """CPU time of all threads of a process since the attachment, in ns."""
        try:
            used: int = self._call(uapi.IOC_TRIAL, uapi.UbTrial(proc=proc)).cpu_ns
        except OSError as error:
            raise _gone_or_error("accept CPU time", error) from error
        return used

    def _trial(self, request: uapi.UbTrial) -> Trial:
        try:
            raw = self._call(uapi.IOC_TRIAL, request)
        except OSError as error:
            raise _gone_or_error(
                "limit the calls that a region dispatches", error
            ) from error
        return Trial(
            *(uapi.TrialState(raw.state), raw.left_ns, raw.spent_ns, raw.runs),
            raw.lost_ns,
        )

    def stats(self, proc: int) -> Stats:
        """Counters of an attachment."""
        try:
            raw = self._call(uapi.IOC_STATS, uapi.UbStats(proc=proc))
        except OSError as error:
            raise _gone_or_error("read counters", error) from error
        return Stats(
            native=raw.native,
            dispatched=raw.dispatched,
            runs=raw.runs,
            declined=raw.declined,
            exits={reason: raw.exits[reason] for reason in ExitReason if reason},
            attach_ns=raw.attach_ns,
            first_run_ns=raw.first_run_ns,
            events_lost=raw.events_lost,
            uncounted_ns=raw.uncounted_ns,
            filtered=raw.filtered,
            regions=raw.regions,
            code_bytes=raw.code_bytes,
            declines={
                reason: raw.declines[reason] for reason in uapi.Decline if reason
            },
            always=uapi.Decline(raw.always),
            gone=bool(raw.flags & uapi.STATSF_GONE),
            trusted=bool(raw.flags & uapi.STATSF_TRUSTED),
            resting=bool(raw.flags & uapi.STATSF_RESTING),
        )

    def regions(self, proc: int) -> set[int]:
        """Numbers of the live regions of an attachment.

        Raises ``Gone`` if the process has ended.
        """
        most = self._info.max_regions
        found = (ctypes.c_uint32 * most)()
        request = uapi.UbRegions(proc=proc, regions=ctypes.addressof(found), max=most)
        try:
            self._call(uapi.IOC_REGIONS, request)
        except OSError as error:
            raise _gone_or_error("list its regions", error) from error
        return set(found[: request.count])

    def counts(self, proc: int, region: int, nr_exits: int) -> Counts:
        """How often each of the region's ``nr_exits`` exits was taken."""
        exits = (ctypes.c_uint64 * max(nr_exits, 1))()
        request = uapi.UbCounts(
            proc=proc,
            region=region,
            exits=ctypes.addressof(exits),
            nr_exits=nr_exits,
        )
        try:
            self._call(uapi.IOC_COUNTS, request)
        except OSError as error:
            raise _gone_or_error("read a region's counters", error) from error
        return Counts(tuple(exits[:nr_exits]), request.dispatched, request.runs)

    def path(self, proc: int) -> GapPath | None:
        """The traced path that a PATH event has reported; None: no longer available."""
        ips = (ctypes.c_uint64 * uapi.PATH_MAX)()
        request = uapi.UbPath(proc=proc, ips=ctypes.addressof(ips), max=uapi.PATH_MAX)
        try:
            self._call(uapi.IOC_PATH, request)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                return None
            raise _gone_or_error("read the trace of a gap", error) from error
        nr, following = (
            None if number == uapi.PATH_MISS else number
            for number in (request.nr, request.next_nr)
        )
        return GapPath(request.ip, nr, tuple(ips[: request.count]), following)

    def sites(self, proc: int) -> list[Site]:
        """The module's data on the sites of an attachment, unsorted."""
        found = (uapi.UbSiteInfo * uapi.SITES_MAX)()
        request = uapi.UbSites(
            proc=proc, sites=ctypes.addressof(found), max=uapi.SITES_MAX
        )
        try:
            self._call(uapi.IOC_SITES, request)
        except OSError as error:
            raise _gone_or_error("read the figures of sites", error) from error
        return [
            Site(
                ip=raw.ip,
                nr=raw.nr,
                verdict=uapi.SiteVerdict(raw.verdict),
                native_ns=raw.native_ns,
                boosted_ns=raw.boosted_ns,
                overhead_ns=raw.overhead_ns,
                native_samples=raw.native_samples,
                boosted_samples=raw.boosted_samples,
                runs=raw.runs,
                dispatched=raw.dispatched,
            )
            for raw in found[: request.count]
        ]

    def tune(self, what: uapi.Tunable, value: int | None = None) -> int:
        """Set a tunable if ``value`` is given; return the value before."""
        request = uapi.UbTune(what=what)
        if value is not None:
            request.flags = uapi.TUNEF_SET
            request.value = value
        try:
            before: int = self._call(uapi.IOC_TUNE, request).value
        except OSError as error:
            raise _device_error(f"tune {what.name}", error) from error
        return before

    def events(self) -> list[Event]:
        """The pending events, oldest first; empty if there are none."""
        try:
            return parse_events(os.read(self._fd, _EVENT_SIZE * _EVENTS_PER_READ))
        except (BlockingIOError, InterruptedError):
            return []
        except OSError as error:
            raise _device_error("read events", error) from error

    def _handshake(self) -> uapi.UbInfo:
        """The module's answer to the first request; UbError for another version.

        The number of an ioctl contains the size of its structure: a module of a version
        with another size rejects the number, before any version can be compared.
        """
        try:
            info = self._call(uapi.IOC_INFO, uapi.UbInfo())
        except OSError as error:
            if error.errno == errno.ENOTTY:
                raise _other_release() from error
            raise _device_error("describe its interface", error) from error
        if info.abi != ABI_VERSION:
            age = "older" if info.abi < ABI_VERSION else "newer"
            raise _other_version(
                f"it is {age}, with interface {info.abi}; ub has interface "
                f"{ABI_VERSION}"
            )
        return info

    def _call(self, request: int, argument: _S) -> _S:
        ioctl(self._fd, request, argument)
        return argument


def parse_events(data: bytes) -> list[Event]:
    """Decode the bytes of a ``read`` of the device. Unknown types are skipped."""
    events = []
    for offset in range(0, len(data) - _EVENT_SIZE + 1, _EVENT_SIZE):
        raw = uapi.UbEvent.from_buffer_copy(data, offset)
        try:
            kind = uapi.EventType(raw.type)
        except ValueError:
            continue
        words = min(raw.stack_words, uapi.EVENT_STACK)
        events.append(
            Event(
                type=kind,
                proc=raw.proc,
                nr=raw.nr,
                time_ns=raw.time_ns,
                tid=raw.tid,
                region=raw.region,
                ip=raw.ip,
                target=raw.target,
                sp=raw.sp,
                gap_ns=raw.gap_ns,
                exit=raw.exit,
                stack=tuple(raw.stack[:words]),
            )
        )
    return events


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise UbError(
            f"{path} does not exist: the kernel module ub is not loaded",
            "ub module load",
        ) from error
    except PermissionError as error:
        raise _open_refused(path, error.errno) from error
    except OSError as error:
        raise UbError(
            f"cannot open {path}: {error.strerror}", "ub module status"
        ) from error


def _open_refused(path: str, number: int | None) -> UbError:
    """The error for EACCES (the file's mode) or EPERM (the module's own check)."""
    if number != errno.EPERM:
        return UbError(f"no permission to open {path}", permission_hint())
    try:
        lockdown = Path("/sys/kernel/security/lockdown").read_text()
    except OSError:
        lockdown = ""
    if "[" in lockdown and "[none]" not in lockdown:
        return UbError(
            "the kernel is locked down: it runs signed code only",
            "see 'lockdown' of 'ub doctor': no key helps",
        )
    return UbError(
        f"{path} requires the capability CAP_SYS_MODULE",
        "run as root, outside of containers; a unit must allow it "
        "(CapabilityBoundingSet=)",
    )


def _other_release() -> UbError:
    """The error for a module that does not know the first request.

    Its interface has no number then; its release is read from sysfs.
    """
    try:
        release = _MODULE_VERSION.read_text().strip()
    except OSError:
        release = ""
    theirs, ours = _numbers(release), _numbers(VERSION)
    if not theirs:
        return _other_version(f"its version is unknown; ub is version {VERSION}")
    if theirs == ours:
        return _other_version(f"both are {VERSION}, but with different interfaces")
    age = "older" if theirs < ours else "newer"
    return _other_version(f"it is {age}, version {release}; ub is version {VERSION}")


def _other_version(what: str) -> UbError:
    return UbError(
        f"the module that is loaded is of another version than this ub: {what}", _RELOAD
    )


def _numbers(release: str) -> tuple[int, ...]:
    """The numbers of a release such as "0.1.0"; empty if it is none."""
    digits = r"[0-9]{1,9}"
    if not re.fullmatch(rf"{digits}(\.{digits})*", release, re.ASCII):
        return ()
    return tuple(map(int, release.split(".")))


def _load_request(
    proc: int, translation: Translation, replace: int
) -> tuple[uapi.UbLoad, list[object]]:
    """The request, and the buffers that it points to."""
    source_bytes = b"".join(source.data for source in translation.sources)
    code = ctypes.create_string_buffer(translation.code, len(translation.code))
    data = ctypes.create_string_buffer(source_bytes, len(source_bytes))
    entries = _array(
        uapi.UbEntry,
        [(entry.user_ip, entry.code_offset, entry.nr) for entry in translation.entries],
    )
    exits = _array(
        uapi.UbExit,
        [
            (leave.user_ip, leave.cx, int(leave.reason), int(leave.flags))
            for leave in translation.exits
        ],
    )
    faults = _array(
        uapi.UbFault,
        [(fault.code_offset, fault.fixup_offset) for fault in translation.faults],
    )
    dispatches = _array(
        uapi.UbDispatch,
        [
            (
                call.code_offset,
                call.nr,
                call.pre_offset,
                call.post_offset,
                call.user_ip,
            )
            for call in translation.dispatches
        ],
    )
    sources = _array(
        uapi.UbSource,
        [(source.start, len(source.data)) for source in translation.sources],
    )
    jumps = (ctypes.c_uint32 * len(translation.jumps))(*translation.jumps)
    request = uapi.UbLoad(
        proc=proc,
        flags=_load_flags(translation),
        replace=replace,
        code=ctypes.addressof(code),
        entries=ctypes.addressof(entries),
        exits=ctypes.addressof(exits),
        faults=ctypes.addressof(faults),
        dispatches=ctypes.addressof(dispatches),
        jumps=ctypes.addressof(jumps),
        sources=ctypes.addressof(sources),
        bytes=ctypes.addressof(data),
        code_length=len(translation.code),
        nr_entries=len(translation.entries),
        nr_exits=len(translation.exits),
        nr_faults=len(translation.faults),
        nr_dispatches=len(translation.dispatches),
        nr_jumps=len(translation.jumps),
        nr_sources=len(translation.sources),
        bytes_length=len(source_bytes),
    )
    return request, [code, data, entries, exits, faults, dispatches, sources, jumps]


def _load_flags(translation: Translation) -> int:
    flags = LOADF_VECTOR if translation.vector else 0
    flags |= LOADF_X87 if translation.x87 else 0
    return flags | (LOADF_TRUSTED if translation.trusted else 0)


def _array(structure: type[_S], rows: Sequence[tuple[int, ...]]) -> ctypes.Array[_S]:
    return (structure * len(rows))(*(structure(*row) for row in rows))


def _attach_error(pid: int, error: OSError) -> UbError:
    reasons = {
        errno.ESRCH: (f"there is no process {pid}", "'ps -e' lists all processes"),
        errno.EAGAIN: (
            f"process {pid} still shares its parent's memory",
            "try again after it has started its program",
        ),
        errno.EPERM: (f"no permission to attach to process {pid}", permission_hint()),
        errno.EACCES: (f"no permission to attach to process {pid}", permission_hint()),
        errno.EBUSY: (
            f"process {pid} is already attached",
            "'ub stats' shows attached processes",
        ),
        errno.EADDRINUSE: (
            f"cannot attach to process {pid}: all system call handlers are in "
            "use by others",
            "end tracers and BPF programs; as root, 'ub doctor' lists the handlers",
        ),
        errno.EEXIST: (
            f"process {pid} is already attached",
            "'ub stats' shows attached processes",
        ),
        errno.ETIMEDOUT: (
            f"cannot attach to process {pid}: its memory map is locked",
            _LOCKED,
        ),
        errno.EINVAL: (
            f"process {pid} has no user memory",
            "it is a kernel thread or has just exited",
        ),
        errno.ENOEXEC: (
            f"process {pid} is a 32-bit program",
            "only 64-bit x86 programs can be boosted",
        ),
        errno.EOPNOTSUPP: (
            f"process {pid} uses a feature that prevents boosting",
            "for example a user shadow stack",
        ),
    }
    if error.errno in reasons:
        return UbError(*reasons[error.errno])
    return _device_error(f"attach to process {pid}", error)


def _gone_or_error(what: str, error: OSError) -> Exception:
    if error.errno in (errno.ESRCH, errno.ENOENT):
        return Gone()
    return _device_error(what, error)


def _device_error(what: str, error: OSError) -> UbError:
    return UbError(
        f"the module refused to {what}: {os.strerror(error.errno or 0)}",
        "the kernel log (dmesg) may have the reason",
    )
