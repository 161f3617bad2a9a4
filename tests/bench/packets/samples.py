# SPDX-License-Identifier: GPL-2.0-only
"""Made-up records, and an interpreter of BPF, that tests of this package share."""

from __future__ import annotations

import struct
from typing import Any

from tests.bench.samples import ICOUNT
from ubypass.bench.packets.record import PacketRecord

_PACKET, _COUNTERS, _CONTEXT = (n << 40 for n in (1, 2, 3))
_SIZES = {0x71: "<B", 0x69: "<H", 0x61: "<I", 0x79: "<Q"}


def packet_record(**changes: Any) -> PacketRecord:
    values: dict[str, Any] = {
        "receiver": "raw socket",
        "kind": "raw",
        "size": 64,
        "sum": False,
        "runs": (5_000.0, 5_010.0, 4_990.0),
        "packets": 2_000,
        "wrong": 0,
        "not_run": "",
        "dispatched": None,
        "command": "ub bench packets",
        "date": "2026-01-01",
        "machine": ICOUNT,
    }
    return PacketRecord(**(values | changes))


def table_of_records() -> list[PacketRecord]:
    """All receivers, one of them not run, counting and adding up."""
    rows = {
        "stack": ("nothing attached", 2_000.0),
        "xdp-drop": ("XDP, then dropped", 1_500.0),
        "xdp-pass": ("XDP, then the stack", 2_600.0),
        "ring": ("PACKET_RX_RING", 2_900.0),
        "raw": ("raw socket", 4_000.0),
        "raw-boosted": ("raw socket, boosted", 3_800.0),
    }
    return [
        *(
            packet_record(
                kind=kind,
                receiver=name,
                sum=add,
                runs=(cost + (50 if add and kind != "stack" else 0),),
                dispatched=0.9996 if kind == "raw-boosted" else None,
            )
            for add in (False, True)
            for kind, (name, cost) in rows.items()
        ),
        packet_record(
            kind="af-xdp", receiver="AF_XDP ring", runs=(), not_run="cannot make a map"
        ),
    ]


def executed(program: bytes, packet: bytes, counters: list[int]) -> int:
    """The verdict of ``program`` on ``packet``; it adds to ``counters``.

    Checks what the verifier does: a packet is read within its bounds only.
    """
    registers = [0] * 11
    registers[1] = _CONTEXT
    at = steps = 0
    while True:
        steps += 1
        assert steps < 100_000
        code, regs, offset, value = struct.unpack_from("<BBhi", program, at * 8)
        target, source = regs & 15, regs >> 4
        at += 1
        other = registers[source] if code & 8 and code != 0x18 else value
        if code == 0x95:
            return registers[0]
        if code == 0x18:
            assert source == 2
            registers[target] = _COUNTERS
            at += 1
        elif code in _SIZES:
            where = registers[source] + offset
            if registers[source] == _CONTEXT:
                end = _PACKET + len(packet)
                registers[target] = {0: _PACKET, 4: end}[offset]
            else:
                low = where - _PACKET
                size = struct.calcsize(_SIZES[code])
                assert 0 <= low <= len(packet) - size
                (registers[target],) = struct.unpack_from(_SIZES[code], packet, low)
        elif code == 0xDB:
            assert registers[target] == _COUNTERS
            counters[offset // 8] = (counters[offset // 8] + registers[source]) % 2**64
        elif code & ~8 == 0xB7:
            registers[target] = other
        elif code & ~8 == 0x07:
            registers[target] = (registers[target] + other) % 2**64
        elif code & ~8 == 0x17:
            registers[target] = (registers[target] - other) % 2**64
        else:
            holds = {
                0x05: True,
                0x25: registers[target] > other,
                0xA5: registers[target] < other,
                0x55: registers[target] != other,
            }[code & ~8]
            at += offset if holds else 0
