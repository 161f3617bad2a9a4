# SPDX-License-Identifier: GPL-2.0-only
"""Drive ``ioloop``: start it, end its warm-up, let it measure, read the result.

Implements the protocol of ``workloads/ioloop.c`` and is independent of boosting. To
read counters around the measured rounds, read them between :meth:`Loop.ready` and
:meth:`Loop.measure`.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ubypass import child
from ubypass.errors import UbError

__all__ = ["Loop", "LoopResult", "Workload"]


@dataclass(frozen=True, slots=True)
class Workload:
    """One loop: system call ``name`` (as in ioloop) with number ``nr``.

    ``size``: bytes per call (0: the call moves no data); ``sum``: whether user code
    adds up the data read; ``cold``: whether each round has to read the file from the
    disk (the loop is then measured in CPU time, since the machine idles meanwhile).
    """

    name: str
    nr: int
    size: int = 0
    sum: bool = False
    cold: bool = False

    def __str__(self) -> str:
        size = f" {self.size}" if self.size else ""
        cold = ", cold" if self.cold else ""
        return f"{self.name}{size}{' + sum' if self.sum else ''}{cold}"

    def arguments(self, file: Path | None) -> list[str]:
        """Options of ioloop for this loop on ``file``."""
        arguments = ["--call", self.name]
        if self.size:
            arguments += ["--size", str(self.size), "--file", str(file)]
        arguments += ["--sum"] if self.sum else []
        return [*arguments, "--cold"] if self.cold else arguments


@dataclass(frozen=True, slots=True)
class LoopResult:
    """``median`` of the rounds in ns per call; ``checksum`` of the data read."""

    median: float
    rounds: tuple[float, ...]
    checksum: str

    @property
    def mean(self) -> float:
        """Mean of the rounds in ns per call."""
        return statistics.fmean(self.rounds)

    @property
    def deviation(self) -> float:
        """Standard deviation of the rounds in ns per call; 0 for a single round."""
        return statistics.stdev(self.rounds) if len(self.rounds) > 1 else 0.0


class Loop:
    """A running ioloop; a context manager that leaves no process behind.

    The program warms up until :meth:`warm`, and waits from :meth:`ready` to
    :meth:`measure` and from there to the end of the ``with`` block.
    """

    def __init__(self, program: Path, arguments: list[str]) -> None:
        self.started_ns = time.monotonic_ns()
        self._process = child.start(
            [str(program), *arguments, "--sync", "--json"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Loop:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._say()
            self._process.communicate()
        else:
            child.end(self._process)
            self._process.communicate()

    @property
    def pid(self) -> int:
        """The pid of the program."""
        return self._process.pid

    @property
    def output(self) -> int:
        """A file descriptor that becomes readable when the program prints a line."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    @property
    def ended(self) -> bool:
        """Whether the program has ended, which it does early only after an error."""
        return self._process.poll() is not None

    def warm(self) -> None:
        """End the warm-up after its current round."""
        self._say()

    def ready(self) -> None:
        """Wait until the warm-up has ended. Raises UbError if the program ended."""
        line = self._hear()
        if line != "ready":
            raise UbError(f"ioloop printed '{line}' instead of 'ready'")

    def measure(self) -> LoopResult:
        """Run the measured rounds; their result. Raises UbError if there is none."""
        self._say()
        line = self._hear()
        try:
            data = json.loads(line)
            rounds = tuple(float(value) for value in data["rounds"])
            return LoopResult(float(data["median"]), rounds, data["checksum"])
        except (ValueError, KeyError, TypeError) as error:
            raise UbError(f"ioloop printed no result but '{line}'") from error

    def _say(self) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the program has ended: the next line read is empty

    def _hear(self) -> str:
        assert self._process.stdout is not None
        line: str = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            raise UbError(f"the workload ended early with status {status}")
        return line.strip()
