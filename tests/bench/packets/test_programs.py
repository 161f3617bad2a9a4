# SPDX-License-Identifier: GPL-2.0-only
"""The programs, interpreted. That the verifier takes them is tests/guest's."""

from __future__ import annotations

import random
import socket
import struct

import pytest

from tests.bench.packets.samples import executed
from ubypass.bench.packets.programs import LONGEST, Verdict, counting, redirecting

_PORT = 0x1234


def packet(payload: bytes, **changes: int) -> bytes:
    """A UDP packet as it is on the wire, its checksums left out."""
    fields = {"ether": 0x0800, "version": 0x45, "protocol": 17, "port": _PORT} | changes
    return (
        bytes(12)
        + struct.pack(">H", fields["ether"])
        + struct.pack(
            ">BBHIBBH8x", fields["version"], 0, 28, 0, 64, fields["protocol"], 0
        )
        + struct.pack(">HHHH", 1, fields["port"], 8 + len(payload), 0)
        + payload
    )


def added_up(payload: bytes) -> int:
    whole = len(payload) // 8 * 8
    words = struct.unpack(f"<{whole // 8}Q", payload[:whole])
    return (sum(words) + sum(payload[whole:])) % 2**64


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 63, 64, 65, 127, 1001, LONGEST])
def test_counts_and_adds_up(size: int, verdict: Verdict) -> None:
    payload = random.Random(size).randbytes(size)
    counters = [0, 0, 0]
    program = counting(5, _PORT, True, verdict)
    for _ in range(2):
        assert executed(program, packet(payload), counters) == verdict
    assert counters == [2, 2 * size, 2 * added_up(payload) % 2**64]


def test_counts_only() -> None:
    counters = [0, 0, 0]
    program = counting(5, _PORT, False, Verdict.DROP)
    assert executed(program, packet(b"abc"), counters) == Verdict.DROP
    assert counters == [1, 3, 0]


@pytest.mark.parametrize(
    "other",
    [
        packet(b"x" * 64, ether=0x0806),
        packet(b"x" * 64, version=0x46),
        packet(b"x" * 64, protocol=6),
        packet(b"x" * 64, port=_PORT + 1),
        packet(b"x" * 64, port=socket.htons(_PORT)),
        packet(b"")[:-1],
        b"",
    ],
)
def test_what_is_not_meant_goes_on(other: bytes) -> None:
    counters = [0, 0, 0]
    assert executed(counting(5, _PORT, True, Verdict.DROP), other, counters) == 2
    assert counters == [0, 0, 0]


def test_redirects_to_the_map() -> None:
    code = redirecting(9)
    assert code[8:16].hex() == "1811000009000000"
    assert len(code) == 6 * 8
