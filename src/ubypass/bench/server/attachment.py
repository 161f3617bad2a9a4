# SPDX-License-Identifier: GPL-2.0-only
"""``ub attach`` as a process of its own, and its figures for processes.

The input is the JSON of ``ub stats``. Unknown keys are ignored, and keys may be
missing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from ubypass import child
from ubypass.bench.server.cpu import cpu_ns
from ubypass.engine.control import ask, socket_path
from ubypass.errors import UbError
from ubypass.places import own_environment
from ubypass.process.calls import call_name

__all__ = ["Attachment", "Figures"]

_LOOK = 0.25  # seconds between polls until the processes are attached
_ASK = 6  # most attempts of one request


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over processes: ``calls`` made, calls ``dispatched``, ``exits`` by reason.

    ``regions`` live and ``loads`` so far; ``build_s``: seconds of CPU time of builds;
    ``first_boost_s``: seconds from attaching to the first dispatch in any of them;
    ``saved_ns``: ns saved by all dispatches, as far as known, by the prices that the
    engine decides by (``priced_by``).
    """

    calls: int = 0
    dispatched: int = 0
    regions: int = 0
    loads: int = 0
    build_s: float = 0.0
    first_boost_s: float | None = None
    exits: Mapping[str, int] = field(default_factory=dict)
    saved_ns: float = 0.0
    priced_by: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, processes: Iterable[Mapping[str, Any]]) -> Figures:
        """The sums of what ``ub stats --json`` prints for each process."""
        all_of = list(processes)
        exits: dict[str, int] = {}
        for process in all_of:
            for reason, count in process.get("exits", {}).items():
                exits[reason] = exits.get(reason, 0) + count
        firsts = [p.get("first_boost_seconds") for p in all_of]
        return cls(
            calls=sum(p.get("calls", 0) for p in all_of),
            dispatched=sum(p.get("dispatched", 0) for p in all_of),
            regions=sum(_regions(p) for p in all_of),
            loads=sum(p.get("loads", 0) for p in all_of),
            build_s=sum(p.get("build_seconds", 0.0) for p in all_of),
            first_boost_s=min((f for f in firsts if f is not None), default=None),
            exits=exits,
            saved_ns=sum(p.get("saved_ns") or 0.0 for p in all_of),
            priced_by=next((p["priced_by"] for p in all_of if "priced_by" in p), ""),
            notes=tuple(
                dict.fromkeys(note for p in all_of for note in p.get("notes", ()))
            ),
        )


def _regions(process: Mapping[str, Any]) -> int:
    """The number of live regions; a number is the count, a list names each region."""
    regions = process.get("regions")
    if isinstance(regions, int):
        return regions
    if isinstance(regions, list):
        return len(regions)
    return 1 if process.get("region") else 0


class Attachment:
    """A running ``ub attach``; a context manager that detaches at its end.

    ``options``: further options of ``ub attach``; ``program``: the module of ub.
    Entering waits until the processes are attached.
    """

    def __init__(
        self,
        pids: Iterable[int],
        options: Iterable[str] = (),
        program: str = "ubypass.cli.main",
    ) -> None:
        self._pids = tuple(pids)
        # To a file: nothing would drain a pipe meanwhile.
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed at the end
        self._process = child.start(
            [
                *(sys.executable, "-m", program, "attach"),
                *options,
                *map(str, self._pids),
            ],
            last=signal.SIGTERM,
            env=own_environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> Attachment:
        # No time limit: where instructions are counted an idle clock jumps ahead.
        while not self._has_attached():
            if self._process.poll() is not None:
                raise UbError(f"ub attach has failed: {self.output()}")
            time.sleep(_LOOK)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        status = child.end(
            self._process, signal.SIGINT if kind is None else signal.SIGKILL
        )
        message = self.output()
        self._output.close()
        if kind is None and status != 0:
            raise UbError(f"ub attach ended with status {status}: {message}")

    def output(self) -> str:
        """The output so far."""
        data = os.pread(self._output.fileno(), 1 << 16, 0)
        return data.decode(errors="replace").strip()

    def figures(self, pids: Iterable[int]) -> Figures:
        """The present figures of ``pids``. Raises UbError if the engine is gone."""
        wanted = set(pids)
        return Figures.of(p for p in self._processes() if p["pid"] in wanted)

    def native_sites(self, pids: Iterable[int]) -> tuple[str, ...]:
        """For each site of ``pids`` that is native: its call, place and reason."""
        answers = [self._ask({"ask": "explain", "id": pid}) for pid in pids]
        sites = [site for answer in answers for site in answer["sites"]]
        lines = (
            f"{call_name(site['nr'])} at {site['symbol'] or hex(site['address'])}: "
            + site["decision"].removeprefix("native: ")
            for site in sites
            if site["decision"] != "boosted"
        )
        return tuple(dict.fromkeys(lines))

    def cpu_ns(self) -> int:
        """CPU time of the engine so far, in ns."""
        return cpu_ns([self._process.pid])

    def _has_attached(self) -> bool:
        if not self._socket().exists():
            return False
        try:
            return set(self._pids) <= {p["pid"] for p in self._processes()}
        except UbError:
            return False

    def _processes(self) -> list[dict[str, Any]]:
        processes: list[dict[str, Any]] = self._ask({"ask": "stats"})["processes"]
        return processes

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        for asked in range(1, _ASK + 1):
            try:
                answer: dict[str, Any] = ask(self._socket(), request)
                return answer
            except OSError as error:
                # A build takes long beside a busy server on one emulated processor.
                if isinstance(error, TimeoutError) and asked < _ASK:
                    continue
                raise UbError(f"ub attach does not answer: {self.output()}") from error
        raise AssertionError("the last attempt raises")

    def _socket(self) -> Path:
        return socket_path(self._process.pid)
