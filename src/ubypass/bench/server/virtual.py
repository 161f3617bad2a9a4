# SPDX-License-Identifier: GPL-2.0-only
"""A network for F-Stack without a network card: a virtual device of DPDK.

DPDK's ``virtio_user`` opens ``/dev/vhost-net`` and a TAP device: what F-Stack sends
arrives in the kernel there, and the load runs on this machine. This measures F-Stack's
stack, not kernel bypass, see :data:`NOTE`.

F-Stack does not pass a name for the TAP to DPDK, so the kernel chooses ``tapN``; it is
found by its hardware address. DPDK gives it that of F-Stack's own end. A FreeBSD stack
ignores ARP from its own address, so the TAP gets another one here. This follows the
sources of F-Stack and of its DPDK; it was not tried on a running one.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from ubypass.bench.server.ip import ip
from ubypass.errors import UbError

__all__ = ["ADDRESS", "NOTE", "Tap", "config", "find_tap", "must_be_possible"]

NOTE = "a virtual device is not kernel bypass: packets still pass the kernel's TAP"

#: For benchmarks between two devices (RFC 2544).
ADDRESS = "198.18.77.2"
_GATEWAY = "198.18.77.1"
_PREFIX = 30

#: Locally administered; F-Stack's end and the kernel's.
_HARDWARE = "02:75:62:66:73:02"
_OTHER = "02:75:62:66:73:01"

#: Looks for the TAP device while F-Stack runs, 50 ms apart: F-Stack makes it at once.
_LOOKS = 1200

_VHOST = Path("/dev/vhost-net")
_DEVICES = Path("/sys/class/net")

#: Sections in the order in which F-Stack needs them. ``no_huge``: MB of memory that
#: need no huge pages; earlier versions do not know it and need them. ``pkt_tx_delay``:
#: replies are not held back, as they are by default, up to 100 µs, to be sent together.
#: The lines of FreeBSD are values of the configuration that comes with F-Stack.
_CONFIG = f"""\
[dpdk]
lcore_mask={{mask}}
channel=4
no_huge=1
memory=1024
promiscuous=1
numa_on=0
tso=0
vlan_strip=1
idle_sleep=0
pkt_tx_delay=0
port_list=0
nb_vdev=1
nb_bond=0

[port0]
addr={ADDRESS}
netmask=255.255.255.252
broadcast=198.18.77.3
gateway={_GATEWAY}

[vdev0]
path={_VHOST}
queues=1
queue_size=256
mac={_HARDWARE}

[freebsd.boot]
hz=100
fd_reserve=1024
kern.ipc.maxsockets=262144
net.inet.tcp.syncache.hashsize=4096
net.inet.tcp.syncache.bucketlimit=100
net.inet.tcp.tcbhashsize=65536
kern.ncallout=262144

[freebsd.sysctl]
kern.ipc.somaxconn=32768
kern.ipc.maxsockbuf=16777216
net.inet.tcp.sendspace=16384
net.inet.tcp.recvspace=8192
net.inet.tcp.sendbuf_max=16777216
net.inet.tcp.recvbuf_max=16777216
net.inet.tcp.sendbuf_auto=1
net.inet.tcp.recvbuf_auto=1
net.inet.tcp.sack.enable=1
net.inet.tcp.delayed_ack=0
"""


def config(cpu: int) -> str:
    """The text of a ``config.ini`` for F-Stack that polls on ``cpu``."""
    return _CONFIG.format(mask=f"{1 << cpu:x}")


def must_be_possible(vhost: Path = _VHOST) -> None:
    """Raise UbError if this kernel has no such device."""
    if not vhost.exists():
        raise UbError(
            f"no virtual device for F-Stack: {vhost} is missing (modprobe vhost_net)"
        )


def find_tap(devices: Path = _DEVICES) -> str | None:
    """The name of the TAP that DPDK has made; None if there is none yet."""
    for device in devices.iterdir():
        with contextlib.suppress(OSError):
            is_tap = (device / "tun_flags").exists()
            if is_tap and (device / "address").read_text().strip() == _HARDWARE:
                return device.name
    return None


class Tap:
    """The kernel's end; it appears after F-Stack's start and ends with it."""

    def __init__(self) -> None:
        self._is_set_up = False
        self._looks = 0

    def reachable(self) -> bool:
        """Whether F-Stack's address leads there; sets the device up when it is new.

        Before that, connections would leave by another device. Raises UbError.
        """
        if not self._is_set_up:
            name = find_tap()
            if name is None:
                self._looks += 1
                if self._looks > _LOOKS:
                    raise UbError(
                        "F-Stack runs, but there is no TAP device of its own",
                        "name a configuration of yours with --fstack-config",
                    )
                return False
            for words in _set_up(name):
                ip(*words.split(), what=f"set up {name}", hint="run as root")
            self._is_set_up = True
        return True


def _set_up(name: str) -> tuple[str, ...]:
    """The words for ip(8)."""
    return (
        f"link set dev {name} address {_OTHER}",
        f"addr add {_GATEWAY}/{_PREFIX} dev {name}",
        f"link set dev {name} up",
    )
