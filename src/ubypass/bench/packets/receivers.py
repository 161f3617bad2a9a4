# SPDX-License-Identifier: GPL-2.0-only
"""Ways to receive UDP packets, each at one end of a wire, with its sender.

All count packets and bytes, and add up the payload on request. Each load checks the
result: of rings and sockets the sender, which shares the counters with the receiver; of
XDP programs their map.

XDP programs run in generic mode, behind the driver. They are designed for the driver of
a network card, on the memory of the driver; the driver of a virtual wire has only
packets of the stack, and first copies each into a page. Two rows show the difference.
"""

from __future__ import annotations

import contextlib
import json
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ubypass.bench.packets import bpf, programs
from ubypass.bench.packets.network import Network
from ubypass.bench.packets.programs import Verdict
from ubypass.bench.server.measure import Checked, Load
from ubypass.bench.server.process import home, output_of, ready, running
from ubypass.bench.workloads import build_workload
from ubypass.errors import UbError

__all__ = ["RECEIVERS", "Case", "Kind", "Receiver"]

_PORT = 9
#: Most packets by which a sender is ahead: a virtual wire holds 256 if an XDP program
#: is attached to its end.
_WINDOW = 128
_COUNTERS = struct.Struct("=QQQ")
_LOOKS, _LOOK = 100, 0.02  # most looks at counters, and seconds between them
#: Most floods until all packets of one arrive. The sender of a flood does not wait for
#: the receiver: while the kernel's thread for network work waits for the processor, the
#: wire may become full.
_FLOODS = 5


@dataclass(frozen=True, slots=True)
class Case:
    """``size``: bytes of payload; ``sum``: whether the receiver adds them up."""

    size: int
    sum: bool = False

    def __str__(self) -> str:
        return f"{self.size} bytes{', sum' if self.sum else ''}"


class Receiver(Protocol):
    """A running receiver; ``serving`` and ``background`` as in Loaded."""

    def serving(self) -> tuple[int, ...]:
        """The pids of the receiving processes; empty for a program in the kernel."""

    def load(self, packets: int) -> Load:
        """Send ``packets`` packets; the time, and whether all were received."""

    def background(self) -> AbstractContextManager[None]:
        """An endless stream of packets, for the time of the block."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to receive.

    ``key``: its name in records and comparisons; ``name``: for people; ``open`` starts
    it; ``boosted``: whether it runs under ``ub attach``.
    """

    key: str
    name: str
    open: Callable[[Network, Case], AbstractContextManager[Receiver]]
    boosted: bool = False


class _Process:
    """A receiver of ``workloads/``."""

    def __init__(self, network: Network, case: Case, pid: int, counters: Path) -> None:
        self._pid = pid
        self._send = network.sending(
            [
                *(_program("rawudp"), "send", str(counters), str(_PORT)),
                str(case.size),
            ]
        )
        self._to = (network.address, str(_WINDOW))

    def serving(self) -> tuple[int, ...]:
        return (self._pid,)

    def load(self, packets: int) -> Load:
        sent = _Sent.of(output_of([*self._send, str(packets), *self._to]))
        return Load(packets, sent.ns, Checked(1, 0 if sent.right else 1))

    def background(self) -> AbstractContextManager[None]:
        return running([*self._send, "0", *self._to])


class _InKernel:
    """A receiver in the kernel only; ``counted``: its counters."""

    def __init__(
        self, network: Network, case: Case, counted: Callable[[], _Counted]
    ) -> None:
        self._case = case
        self._counted = counted
        command = [_program("rawudp"), "flood", str(_PORT), str(case.size)]
        self._flood = network.sending(command)
        self._to = network.address

    def serving(self) -> tuple[int, ...]:
        return ()

    def load(self, packets: int) -> Load:
        for _ in range(_FLOODS):
            before = self._counted()
            sent = _Sent.of(output_of([*self._flood, str(packets), self._to]))
            wanted = before.after(packets, packets * self._case.size, sent.sum)
            if not sent.dropped:
                found = self._wait_for(wanted)
                return Load(packets, sent.ns, Checked(1, 0 if found == wanted else 1))
            # The sum of the lost packets is not known: the counters cannot be checked.
            self._wait_for(None)
        raise UbError(f"the wire dropped packets in each of {_FLOODS} floods")

    def _wait_for(self, wanted: _Counted | None) -> _Counted:
        """The counters once they are as ``wanted``, or after two seconds.

        The kernel may not have processed the last packets yet. None: once they do not
        change any more.
        """
        found = self._counted()
        for _ in range(_LOOKS):
            if found == wanted:
                break
            time.sleep(_LOOK)
            before, found = found, self._counted()
            if wanted is None and found == before:
                break
        return found

    def background(self) -> AbstractContextManager[None]:
        return running([*self._flood, "0", self._to])


@dataclass(frozen=True, slots=True)
class _Counted:
    """The counts of XDP, and of packets at the port; None where not applicable."""

    packets: int | None = None
    bytes: int | None = None
    sum: int | None = None
    port: int | None = None

    def after(self, packets: int, size: int, total: int) -> _Counted:
        """The expected counts after ``packets`` more packets."""
        return _Counted(
            _plus(self.packets, packets),
            _plus(self.bytes, size),
            _plus(self.sum, total),
            _plus(self.port, packets),
        )


@dataclass(frozen=True, slots=True)
class _Sent:
    """The output of the sender; ``dropped``: packets of a flood lost on the wire."""

    ns: int
    sum: int
    right: bool
    dropped: int = 0

    @classmethod
    def of(cls, out: str) -> _Sent:
        try:
            data = json.loads(out)
            return cls(data["ns"], data["sum"], data["right"], data["dropped"])
        except (ValueError, LookupError, TypeError) as error:
            raise UbError(f"the sender printed no result but {out!r}") from error


@contextlib.contextmanager
def _stack(network: Network, case: Case) -> Iterator[Receiver]:
    with _sink(network) as pid:
        yield _InKernel(network, case, lambda: _Counted(port=_dropped(pid)))


def _xdp(
    verdict: Verdict, driver: bool = False
) -> Callable[[Network, Case], AbstractContextManager[Receiver]]:
    @contextlib.contextmanager
    def started(network: Network, case: Case) -> Iterator[Receiver]:
        with _sink(network) as pid, bpf.array(_COUNTERS.size) as counters:

            def counted() -> _Counted:
                value = bpf.read_value(counters, _COUNTERS.size)
                packets, size, total = _COUNTERS.unpack(value)
                port = _dropped(pid) if verdict is Verdict.PASS else None
                return _Counted(packets, size, total if case.sum else None, port)

            code = programs.counting(counters, _PORT, case.sum, verdict)
            with _at_work(network, code, driver):
                yield _InKernel(network, case, counted)

    return started


@contextlib.contextmanager
def _af_xdp(network: Network, case: Case) -> Iterator[Receiver]:
    with (
        bpf.socket_map() as sockets,
        _at_work(network, programs.redirecting(sockets)),
        _process(
            network, case, "xskudp", (network.device, str(sockets)), (sockets,)
        ) as it,
    ):
        yield it


@contextlib.contextmanager
def _ring(network: Network, case: Case) -> Iterator[Receiver]:
    with _process(network, case, "ringudp", (network.device,)) as it:
        yield it


@contextlib.contextmanager
def _raw(network: Network, case: Case) -> Iterator[Receiver]:
    add = ("--sum",) if case.sum else ()
    with home("packets") as directory:
        counters = directory / "counters"
        command = [_program("rawudp"), "receive", str(counters), str(_PORT)]
        command += [*add, network.device]
        with ready(network.receiving(command)) as pid:
            yield _Process(network, case, pid, counters)


@contextlib.contextmanager
def _process(
    network: Network,
    case: Case,
    program: str,
    words: Sequence[str],
    pass_fds: Sequence[int] = (),
) -> Iterator[Receiver]:
    """A receiver that reads a ring; ``words``: its own arguments."""
    add = ("--sum",) if case.sum else ()
    with home("packets") as directory:
        counters = directory / "counters"
        command = [_program(program), str(counters), str(_PORT), *words, *add]
        with ready(network.receiving(command), pass_fds) as pid:
            yield _Process(network, case, pid, counters)


@contextlib.contextmanager
def _sink(network: Network) -> Iterator[int]:
    """The pid of a process that owns the port, so that no errors are sent."""
    with ready(network.receiving([_program("rawudp"), "sink", str(_PORT)])) as pid:
        yield pid


@contextlib.contextmanager
def _at_work(network: Network, code: bytes, driver: bool = False) -> Iterator[None]:
    with bpf.loaded(code) as program, contextlib.ExitStack() as stack:
        with network.entered() as index:
            stack.enter_context(bpf.attached(program, index, driver))
        yield


def _dropped(pid: int) -> int:
    """Packets that have arrived at the port of process ``pid``.

    The filter of its socket accepts none, and the kernel counts the drops of each
    socket.
    """
    for line in Path(f"/proc/{pid}/net/udp").read_text().splitlines()[1:]:
        words = line.split()
        if int(words[1].rpartition(":")[2], 16) == _PORT:
            return int(words[-1])
    raise UbError("the sink of packets has ended")


def _plus(value: int | None, more: int) -> int | None:
    return None if value is None else (value + more) % 2**64


def _program(name: str) -> str:
    return str(build_workload(name))


RECEIVERS: tuple[Kind, ...] = (
    Kind("stack", "nothing attached", _stack),
    Kind("xdp-drop", "XDP, then dropped", _xdp(Verdict.DROP)),
    Kind("xdp-pass", "XDP, then the stack", _xdp(Verdict.PASS)),
    Kind("xdp-drop-driver", "XDP in veth, dropped", _xdp(Verdict.DROP, driver=True)),
    Kind("xdp-pass-driver", "XDP in veth, stack", _xdp(Verdict.PASS, driver=True)),
    Kind("af-xdp", "AF_XDP ring, copied", _af_xdp),
    Kind("ring", "PACKET_RX_RING", _ring),
    Kind("raw", "raw socket", _raw),
    Kind("raw-boosted", "raw socket, boosted", _raw, boosted=True),
)
