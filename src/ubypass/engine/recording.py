# SPDX-License-Identifier: GPL-2.0-only
"""What an engine builds from, written down, to be built again elsewhere.

One line of JSON for each build: the module's offer, what was known of the process, and
all that was read of its memory. Knows nothing of what a build does.
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

from ubypass.abi import Abi
from ubypass.engine.built import Built
from ubypass.engine.knowledge import HotSite, Knowledge
from ubypass.engine.ports import MemoryLike
from ubypass.errors import UbError
from ubypass.files import open_regular
from ubypass.region.reader import CodeReader, DataReader

__all__ = ["Recorder", "Replay", "replays"]

#: The kinds of reads, and what was read by start and size.
_Reads = dict[tuple[str, int, int], bytes]


class Recorder:
    """A builder that appends what it is given to ``file``; callable as the builder.

    Raises UbError if the file cannot be written.
    """

    def __init__(
        self, build: Callable[[Knowledge, CodeReader], Built], abi: Abi, file: Path
    ) -> None:
        self._build = build
        self._abi = abi
        self._file = file
        self._write("")

    def __call__(self, knowledge: Knowledge, memory: MemoryLike) -> Built:
        """Build, and write down from what, however it ends."""
        noted = _Noting(memory)
        before = _knowledge_json(knowledge)
        try:
            return self._build(knowledge, noted)
        finally:
            build = {
                "abi": _abi_json(self._abi),
                "knowledge": before,
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

    It holds memory of the observed process. Raises ``UbError`` for a file that is not
    so, and ``OSError``.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(file, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    hint = f"remove it, or name another file: 'ls -l {file}' shows it"
    found = os.lstat(file)
    if not stat.S_ISREG(found.st_mode):
        raise UbError(f"cannot write {file}: it is not a regular file", hint)
    fd = os.open(file, flags)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise UbError(f"cannot write {file}: it has other names, too", hint)
        # Whoever owns the directory can do with it what he likes anyway: seen where
        # a virtual machine's root writes to a directory of its host's user.
        trusted = (os.geteuid(), os.stat(file.parent).st_uid)
        if found.st_uid not in trusted:
            raise UbError(f"cannot write {file}: it is somebody else's", hint)
        if found.st_mode & 0o077:
            raise UbError(
                f"cannot write {file}: others can read it, and it is to hold memory "
                "of a process",
                f"chmod 600 {file}",
            )
    except BaseException:
        os.close(fd)
        raise
    return fd


class _Noting:
    """Reads for another, and remembers what."""

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
    """One recorded build: what it is to be built for, and from."""

    abi: Abi
    knowledge: Knowledge
    reads: Mapping[tuple[str, int, int], bytes]

    @property
    def memory(self) -> CodeReader:
        """The process' memory, as far as the build has read it."""
        return _Recorded(self.reads)


class _Recorded(DataReader):
    """Raises UbError for what was not read."""

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
                f"nothing was recorded of {address:#x}",
                "it was recorded by another version of ub: record it again",
            ) from error


def replays(file: Path) -> Iterator[Replay]:
    """The builds in ``file``, in their order. Raises UbError."""
    try:
        with open_regular(file) as lines:
            for line in lines:
                data = json.loads(line)
                yield Replay(
                    _abi(data["abi"]),
                    _knowledge(data["knowledge"]),
                    {
                        (str(kind), int(address), int(size)): bytes.fromhex(content)
                        for kind, address, size, content in data["reads"]
                    },
                )
    except OSError as error:
        raise UbError(f"cannot read {file}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise UbError(f"{file} holds no recorded builds") from error


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


def _knowledge_json(known: Knowledge) -> dict[str, Any]:
    return {
        "entries": [[ip, s.nr, s.stacks] for ip, s in known.entries.items()],
        "starts": list(known.starts.items()),
        "targets": _nested(known.targets),
        "missed": list(known.missed.items()),
        "samples": list(known.samples.items()),
        "stops": sorted(known.stops),
        "numbers": _nested(known.numbers),
        "trodden": sorted(known.trodden.items()),
        "jumps": _nested(known.jumps),
        "traced": sorted(known.traced),
        "strange": _nested(known.strange),
        "effort": known.effort,
    }


def _nested(table: Mapping[int, Mapping[int, int]]) -> list[tuple[int, list[Any]]]:
    return [(ip, list(targets.items())) for ip, targets in table.items()]


def _knowledge(data: Mapping[str, Any]) -> Knowledge:
    return Knowledge(
        entries={
            ip: HotSite(nr, [tuple(stack) for stack in stacks])
            for ip, nr, stacks in data["entries"]
        },
        starts=dict(data["starts"]),
        targets=_tables(data["targets"]),
        missed={ip: tuple(stack) for ip, stack in data["missed"]},
        samples=Counter(dict(data["samples"])),
        stops=set(data["stops"]),
        numbers=_tables(data["numbers"]),
        trodden=dict(data["trodden"]),
        jumps=_tables(data["jumps"]),
        traced=set(data["traced"]),
        # Not in what older versions have recorded.
        strange=_tables(data.get("strange", ())),
        effort=int(data["effort"]),
    )


def _tables(pairs: Iterable[tuple[int, Any]]) -> dict[int, dict[int, int]]:
    return {ip: dict(targets) for ip, targets in pairs}
