# SPDX-License-Identifier: GPL-2.0-only
"""A receiver of UDP packets on a raw socket, and a sender beside it.

CPU time of the receiver is no measure: the kernel does much of the receiving on behalf
of the sender. The measure is the time per packet. The receiver is the bottleneck:
packets wait for it.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from ubypass.bench.server.cases import choose
from ubypass.bench.server.measure import Checked, Load
from ubypass.bench.server.process import home, output_of, ready, running
from ubypass.bench.workloads import build_workload
from ubypass.errors import UbError

__all__ = ["CASES", "QUICK", "RawCase", "RawReceiver", "raw_receiver", "select"]

_CHECKS = 500


@dataclass(frozen=True, slots=True)
class RawCase:
    """``size``: bytes of payload; ``sum``: whether the receiver adds them up."""

    size: int
    sum: bool = False

    def __str__(self) -> str:
        return f"{self.size} bytes{', sum' if self.sum else ''}"


CASES: tuple[RawCase, ...] = tuple(
    RawCase(size, add) for add in (False, True) for size in (64, 1024)
)
QUICK: tuple[RawCase, ...] = (RawCase(64, sum=True),)


def select(sizes: tuple[int, ...]) -> tuple[RawCase, ...]:
    """The cases of those sizes; all if empty. Raises UbError if there is none."""
    return choose("rawsocket", CASES, {"size": sizes}, "sizes are 64 and 1024")


@contextlib.contextmanager
def raw_receiver(case: RawCase, packets: int) -> Iterator[RawReceiver]:
    """A running receiver, with a load of ``packets`` per run."""
    program = str(build_workload("rawudp"))
    with home("rawudp") as directory, socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        sock.close()
        counters = directory / "counters"
        options = ["--sum"] if case.sum else []
        receiver = [program, "receive", str(counters), str(port), *options]
        with ready(receiver) as pid:
            yield RawReceiver(case, packets, pid, program, counters, port)


class RawReceiver:
    """See :class:`ubypass.bench.server.measure.Server`."""

    name = "rawsocket"
    by_time = True
    version = ""  # a program of this project

    def __init__(
        self,
        case: RawCase,
        packets: int,
        pid: int,
        program: str,
        counters: Path,
        port: int,
    ) -> None:
        self.case = str(case)
        self.main = pid
        self._packets = packets
        self._send = [program, "send", str(counters), str(port), str(case.size)]

    def serving(self) -> tuple[int, ...]:
        """The pid of the receiver."""
        return (self.main,)

    def load(self) -> Load:
        """Run the sender until all packets have been received."""
        return self._sent(self._packets)

    def background(self) -> AbstractContextManager[None]:
        """An endless load by the sender."""
        return running([*self._send, "0"])

    def check(self) -> Checked:
        """A short load; each load checks that all was received as it was sent."""
        return self._sent(_CHECKS).checked

    def _sent(self, packets: int) -> Load:
        out = output_of([*self._send, str(packets)])
        try:
            data = json.loads(out)
            right, elapsed = data["right"], data["ns"]
        except (ValueError, LookupError, TypeError) as error:
            raise UbError(f"the sender printed no result but {out!r}") from error
        return Load(packets, elapsed, Checked(packets, 0 if right else packets))
