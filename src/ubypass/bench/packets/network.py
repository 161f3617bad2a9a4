# SPDX-License-Identifier: GPL-2.0-only
"""Two network namespaces with a virtual wire between them; independent of packets.

The wire carries no other packets: permanent neighbour entries replace ARP, and IPv6
generates no addresses.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ubypass.bench.server.ip import ip
from ubypass.bench.server.process import needs
from ubypass.errors import UbError

__all__ = ["Network", "network"]

_CLONE_NEWNET = 0x40000000
_NAMES = Path("/run/netns")  # the directory of ip(8)
#: Addresses for examples (RFC 5737), invisible outside the namespaces.
_ADDRESSES = ("192.0.2.1", "192.0.2.2")
_HARDWARE = ("02:00:00:00:00:01", "02:00:00:00:00:02")

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Network:
    """The names of the namespaces, and the device at the receiver's end."""

    receiver: str
    sender: str
    device: str = "ub0"
    address: str = _ADDRESSES[0]

    def receiving(self, command: Sequence[str]) -> list[str]:
        """``command``, prefixed to run by exec in the receiver's namespace."""
        return _inside(self.receiver, command)

    def sending(self, command: Sequence[str]) -> list[str]:
        """``command``, prefixed to run by exec in the sender's namespace."""
        return _inside(self.sender, command)

    @contextlib.contextmanager
    def entered(self) -> Iterator[int]:
        """Move this thread to the receiver's namespace; yields the device's index.

        Sockets and attached programs stay there afterwards.
        """
        with (
            open("/proc/thread-self/ns/net", "rb") as here,
            (_NAMES / self.receiver).open("rb") as there,
        ):
            _enter(there.fileno())
            try:
                yield socket.if_nametoindex(self.device)
            finally:
                _enter(here.fileno())


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """Both namespaces and the wire, for the time of the block. Raises UbError."""
    made = Network(f"ub-{os.getpid()}-to", f"ub-{os.getpid()}-from")
    ends = (made.receiver, made.sender)
    try:
        for name in ends:
            ip("netns", "add", name, what="create a network namespace")
        queues = ("numtxqueues", "1", "numrxqueues", "1")
        ip(
            *("-n", made.receiver, "link", "add", made.device, *queues),
            *("address", _HARDWARE[0], "type", "veth"),
            *("peer", "name", made.device, *queues),
            *("address", _HARDWARE[1], "netns", made.sender),
            what="create a veth pair",
            hint="use a kernel with CONFIG_VETH (module veth)",
        )
        for this, other in (0, 1), (1, 0):
            _ip_in(ends[this], f"link set {made.device} addrgenmode none up")
            _ip_in(ends[this], f"addr add {_ADDRESSES[this]}/30 dev {made.device}")
            _ip_in(
                ends[this],
                f"neigh replace {_ADDRESSES[other]} lladdr {_HARDWARE[other]} "
                f"dev {made.device} nud permanent",
            )
        yield made
    finally:
        for name in ends:
            if (_NAMES / name).exists():
                with contextlib.suppress(UbError):
                    ip("netns", "delete", name, what="remove a network namespace")


def _inside(name: str, command: Sequence[str]) -> list[str]:
    """By nsenter, since ``ip netns exec`` changes mounts, too."""
    enter = needs("nsenter", "util-linux")
    return [enter, f"--net={_NAMES / name}", *command]


def _ip_in(name: str, words: str) -> None:
    ip("-n", name, *words.split(), what="set up the veth pair")


def _enter(fd: int) -> None:
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        why = os.strerror(ctypes.get_errno())
        raise UbError(f"cannot enter a network namespace: {why}")
