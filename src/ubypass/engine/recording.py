# SPDX-License-Identifier: GPL-2.0-only
"""Records the inputs of builds, so that they can be repeated elsewhere.

One line of JSON for each build: the module's ABI, the profile of the process, and all
memory that was read. Independent of the contents of a build.
"""

from __future__ import annotations

import dataclasses
import json
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ubypass.abi import Abi, SiteKey
from ubypass.device.types import Path as GapPath
from ubypass.engine.built import Built
from ubypass.engine.ports import MemoryLike
from ubypass.engine.profile import HotSite, Profile
from ubypass.engine.rests import Rests
from ubypass.errors import UbError
from ubypass.files import open_regular
from ubypass.region.reader import CodeReader, DataReader

__all__ = ["Recorder", "Replay", "replays"]

#: The kinds of reads, and what was read by start and size.
_Reads = dict[tuple[str, int, int], bytes]


class Recorder:
    """A builder that appends its inputs to ``file``; callable as the builder.

    Raises UbError if the file cannot be written.
    """

    def __init__(
        self, build: Callable[[Profile, CodeReader], Built], abi: Abi, file: Path
    ) -> None:
        self._build = build
        self._abi = abi
        self._file = file
        self._write("")

    def __call__(self, profile: Profile, memory: MemoryLike) -> Built:
        """Build, and record the inputs, also if the build fails."""
        noted = _Noting(memory)
        before = _profile_json(profile)
        try:
            return self._build(profile, noted)
        finally:
            build = {
                "abi": _abi_json(self._abi),
                "profile": before,
                "reads": [[*key, data.hex()] for key, data in noted.reads.items()],
            }
            self._write(json.dumps(build) + "\n")

    def _write(self, line: str) -> None:
        try:
            with open(_private(self._file), "a", encoding="utf-8") as out:
                out.write(line)
        except OSError as error:
            raise UbError(f"cannot write {self._file}: {error.strerror}") from error


def _private(file: Path) -> int:
    """A descriptor for appending to a file that only its owner can read.

    It holds memory of the observed process. Raises ``UbError`` for any other file, and
    ``OSError``.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(file, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    hint = f"remove it, or choose another file; see: ls -l {file}"
    found = os.lstat(file)
    if not stat.S_ISREG(found.st_mode):
        raise UbError(f"cannot write {file}: it is not a regular file", hint)
    fd = os.open(file, flags)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise UbError(f"cannot write {file}: it has other hard links", hint)
        # The owner of the directory can replace the file anyway, for instance where
        # root of a virtual machine writes to a directory of a user of the host.
        trusted = (os.geteuid(), os.stat(file.parent).st_uid)
        if found.st_uid not in trusted:
            raise UbError(f"cannot write {file}: it belongs to another user", hint)
        if found.st_mode & 0o077:
            raise UbError(
                f"cannot write {file}: others can read it, but it will contain "
                "process memory",
                f"chmod 600 {file}",
            )
    except BaseException:
        os.close(fd)
        raise
    return fd


class _Noting:
    """Forwards reads to ``memory`` and records them."""

    def __init__(self, memory: MemoryLike) -> None:
        self._memory = memory
        self.reads: _Reads = {}

    def read(self, address: int, size: int) -> bytes:
        data = self._memory.read(address, size)
        self.reads["code", address, size] = data
        return data

    def read_data(self, address: int, size: int) -> bytes:
        data = self._memory.read_data(address, size)
        self.reads["data", address, size] = data
        return data


@dataclasses.dataclass(frozen=True)
class Replay:
    """The inputs of one recorded build."""

    abi: Abi
    profile: Profile
    reads: Mapping[tuple[str, int, int], bytes]

    @property
    def memory(self) -> CodeReader:
        """The process' memory, as far as the build has read it."""
        return _Recorded(self.reads)


class _Recorded(DataReader):
    """Memory from recorded reads; raises UbError for other addresses."""

    def __init__(self, reads: Mapping[tuple[str, int, int], bytes]) -> None:
        self._reads = reads

    def read(self, address: int, size: int) -> bytes:
        return self._get("code", address, size)

    def read_data(self, address: int, size: int) -> bytes:
        return self._get("data", address, size)

    def _get(self, kind: str, address: int, size: int) -> bytes:
        try:
            return self._reads[kind, address, size]
        except KeyError as error:
            raise UbError(
                f"there is no record of {address:#x}",
                "the file is from another version of ub: record again",
            ) from error


def replays(file: Path) -> Iterator[Replay]:
    """The builds in ``file``, in their order. Raises UbError."""
    try:
        with open_regular(file) as lines:
            for line in lines:
                data = json.loads(line)
                yield Replay(
                    _abi(data["abi"]),
                    _profile(data["profile"]),
                    {
                        (str(kind), int(address), int(size)): bytes.fromhex(content)
                        for kind, address, size, content in data["reads"]
                    },
                )
    except OSError as error:
        raise UbError(f"cannot read {file}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise UbError(
            f"{file} contains no recorded builds",
            "or it is from another version of ub: record again",
        ) from error


def _abi_json(abi: Abi) -> dict[str, Any]:
    return {
        **dataclasses.asdict(abi),
        "args": list(abi.args.items()),
        "features": None if abi.features is None else sorted(abi.features),
    }


def _abi(data: Mapping[str, Any]) -> Abi:
    features = data["features"]
    return Abi(
        **{
            **data,
            "args": dict(data["args"]),
            "features": None if features is None else frozenset(features),
        }
    )


def _profile_json(profile: Profile) -> dict[str, Any]:
    return {
        "entries": [[*key, s.stacks] for key, s in profile.entries.items()],
        "frontiers": list(profile.frontiers.items()),
        "branch_targets": _nested(profile.branch_targets),
        "miss_stacks": list(profile.miss_stacks.items()),
        "samples": list(profile.samples.items()),
        "barriers": sorted(profile.barriers),
        "call_numbers": _nested(profile.call_numbers),
        "execution_counts": sorted(profile.execution_counts.items()),
        "traced_jumps": _nested(profile.traced_jumps),
        "traced_entries": sorted(profile.traced_entries),
        "nonpointer_counts": _nested(profile.nonpointer_counts),
        "rare": [path.ips for path in profile.rests.rare.values()],
        "dead_ends": sorted(profile.rests.dead_ends),
        "effort": profile.effort,
        "others": sorted(profile.others),
    }


def _nested(table: Mapping[int, Mapping[int, int]]) -> list[tuple[int, list[Any]]]:
    return [(ip, list(targets.items())) for ip, targets in table.items()]


def _profile(data: Mapping[str, Any]) -> Profile:
    return Profile(
        entries={
            SiteKey(ip, nr): HotSite([tuple(stack) for stack in stacks])
            for ip, nr, stacks in data["entries"]
        },
        frontiers=dict(data["frontiers"]),
        branch_targets=_tables(data["branch_targets"]),
        miss_stacks={ip: tuple(stack) for ip, stack in data["miss_stacks"]},
        samples=Counter(dict(data["samples"])),
        barriers={SiteKey(ip, nr) for ip, nr in data["barriers"]},
        call_numbers=_tables(data["call_numbers"]),
        execution_counts=dict(data["execution_counts"]),
        traced_jumps=_tables(data["traced_jumps"]),
        traced_entries={SiteKey(ip, nr) for ip, nr in data["traced_entries"]},
        nonpointer_counts=_tables(data["nonpointer_counts"]),
        rests=Rests(
            rare={ips[0]: GapPath(ips[0], None, tuple(ips)) for ips in data["rare"]},
            dead_ends={ip: GapPath(ip, None, ()) for ip in data["dead_ends"]},
        ),
        effort=int(data["effort"]),
        others=frozenset(SiteKey(ip, nr) for ip, nr in data["others"]),
    )


def _tables(pairs: Iterable[tuple[int, Any]]) -> dict[int, dict[int, int]]:
    return {ip: dict(targets) for ip, targets in pairs}
