# SPDX-License-Identifier: GPL-2.0-only
"""Without F-Stack: what its sources read from the file, and a TAP as DPDK makes it."""

from __future__ import annotations

import configparser
import contextlib
import fcntl
import ipaddress
import json
import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ubypass.bench.server import virtual
from ubypass.errors import UbError

_TUNSETIFF = 0x400454CA
_TUNGETIFF = 0x800454D2
_IFF_TAP = 2
_IFF_NO_PI = 0x1000
_SIOCSIFHWADDR = 0x8924
_ETHER = 1


def _read(cpu: int) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(virtual.config(cpu))
    return parser


def test_a_device_without_a_card() -> None:
    found = _read(0)
    assert found["dpdk"]["nb_vdev"] == "1"
    assert dict(found["vdev0"]) == {
        "path": "/dev/vhost-net",
        "queues": "1",
        "queue_size": "256",
        "mac": "02:75:62:66:73:02",
    }
    # A name for the TAP is not passed on to DPDK.
    assert "iface" not in found["vdev0"]
    # Its parser refuses a section before the number of such sections is known.
    sections = found.sections()
    assert sections.index("dpdk") < sections.index("port0") < sections.index("vdev0")
    options = list(found["dpdk"])
    assert options.index("lcore_mask") < options.index("port_list")


def test_one_network_for_both_ends() -> None:
    port = _read(0)["port0"]
    network = ipaddress.ip_network(f"{port['addr']}/{port['netmask']}", strict=False)
    assert port["addr"] == virtual.ADDRESS
    assert str(network.broadcast_address) == port["broadcast"]
    assert ipaddress.ip_address(port["gateway"]) in network
    words = " ".join(virtual._set_up("tap7"))
    assert f"addr add {port['gateway']}/{network.prefixlen} dev tap7" in words
    # With its own hardware address F-Stack would not answer ARP.
    assert _read(0)["vdev0"]["mac"] not in words
    assert words.endswith("link set dev tap7 up")


@pytest.mark.parametrize(("cpu", "mask"), [(0, "1"), (1, "2"), (7, "80"), (13, "2000")])
def test_the_processor_that_it_polls_on(cpu: int, mask: str) -> None:
    assert _read(cpu)["dpdk"]["lcore_mask"] == mask


def test_without_vhost(tmp_path: Path) -> None:
    virtual.must_be_possible(tmp_path)
    with pytest.raises(UbError, match="modprobe vhost_net"):
        virtual.must_be_possible(tmp_path / "vhost-net")


def test_found_by_its_hardware_address(tmp_path: Path) -> None:
    assert virtual.find_tap(tmp_path) is None
    ours, other = "02:75:62:66:73:02", "02:75:62:66:73:09"
    for name, address, is_tap in (
        ("eth0", ours, False),
        ("tap0", other, True),
        ("tap1", ours, True),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "address").write_text(f"{address}\n")
        if is_tap:
            (tmp_path / name / "tun_flags").write_text("0x5002\n")
    (tmp_path / "ending").mkdir()
    assert virtual.find_tap(tmp_path) == "tap1"


@contextlib.contextmanager
def _tap() -> Iterator[str]:
    """As DPDK opens it: the kernel chooses its name."""
    try:
        fd = os.open("/dev/net/tun", os.O_RDWR)
    except OSError as error:
        pytest.skip(f"no TAP: {error}")
    try:
        try:
            ask = struct.pack("16sH22x", b"tap%d", _IFF_TAP | _IFF_NO_PI)
            name = fcntl.ioctl(fd, _TUNSETIFF, ask)[:16]
            mac = bytes.fromhex("027562667302")
            ask = struct.pack("16sH6s16x", b"", _ETHER, mac)
            fcntl.ioctl(fd, _SIOCSIFHWADDR, ask)
        except PermissionError as error:
            pytest.skip(f"no TAP: {error}")
        yield name.rstrip(b"\0").decode()
    finally:
        os.close(fd)


def test_the_kernels_end_is_set_up_once_it_is_there() -> None:
    tap = virtual.Tap()
    assert not tap.reachable()
    with _tap() as name:
        assert tap.reachable()
        assert tap.reachable()
        shown = subprocess.check_output(["ip", "-j", "addr", "show", name])
        (device,) = json.loads(shown)
        assert device["address"] == "02:75:62:66:73:01"
        assert "UP" in device["flags"]
        inet = [a for a in device["addr_info"] if a["family"] == "inet"]
        assert [(a["local"], a["prefixlen"]) for a in inet] == [("198.18.77.1", 30)]
        route = subprocess.check_output(["ip", "-j", "route", "get", virtual.ADDRESS])
        assert json.loads(route)[0]["dev"] == name
