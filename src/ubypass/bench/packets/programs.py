# SPDX-License-Identifier: GPL-2.0-only
"""The measured XDP programs, as instructions that the kernel's verifier accepts.

They test the port and count as the receivers of ``workloads/`` do. Needs no compiler
and no library.
"""

from __future__ import annotations

import socket
from enum import IntEnum

from ubypass.bench.packets.assembler import assemble

__all__ = ["LONGEST", "Verdict", "counting", "redirecting"]


class Verdict(IntEnum):
    """The action for a counted packet (``enum xdp_action``)."""

    DROP = 1
    PASS = 2


#: Most bytes of payload that are added up: those of an Ethernet frame.
LONGEST = 1472

_COUNT = """
        load32  r6, [r1+0]      ; the packet's first byte
        load32  r7, [r1+4]      ; and its end
        mov     r2, r6
        add     r2, 42          ; behind Ethernet, IPv4 and UDP: the payload
        jgt     r2, r7, other   ; too short for them
        load16  r3, [r6+12]
        jne     r3, ipv4, other
        load8   r3, [r6+14]
        jne     r3, 0x45, other ; IP options
        load8   r3, [r6+23]
        jne     r3, 17, other   ; no UDP
        load16  r3, [r6+36]
        jne     r3, port, other
        value   r8, counters
        mov     r3, 1
        atomic_add [r8+0], r3   ; packets
        mov     r4, r7
        sub     r4, r2
        atomic_add [r8+8], r4   ; bytes of payload
{sum}
        mov     r0, verdict
        exit
other:
        mov     r0, 2           ; XDP_PASS
        exit
"""

# The verifier requires a comparison with the packet's end before each access, and
# bounds of loops. One comparison serves a block of eight words, as in a program that is
# optimized for speed.
_BLOCK = 64
_WORDS = "\n".join(
    f"        load64  r4, [r2+{at}]\n        add     r5, r4"
    for at in range(0, _BLOCK, 8)
)
_SUM = f"""
        mov     r5, 0           ; the sum
        mov     r0, 0           ; turns
blocks:
        mov     r3, r2
        add     r3, {_BLOCK}
        jgt     r3, r7, rest
{_WORDS}
        mov     r2, r3
        add     r0, 1
        jlt     r0, most, blocks
rest:
        mov     r0, 0
words:
        mov     r3, r2
        add     r3, 8
        jgt     r3, r7, tail
        load64  r4, [r2+0]
        add     r5, r4
        mov     r2, r3
        add     r0, 1
        jlt     r0, 7, words
tail:
        mov     r0, 0
bytes:
        mov     r3, r2
        add     r3, 1
        jgt     r3, r7, done
        load8   r4, [r2+0]
        add     r5, r4
        mov     r2, r3
        add     r0, 1
        jlt     r0, 7, bytes
done:
        atomic_add [r8+16], r5
"""

_REDIRECT = """
        load32  r2, [r1+16]     ; the queue of the device
        map     r1, sockets
        mov     r3, 2           ; XDP_PASS where no socket is
        call    51              ; bpf_redirect_map
        exit
"""


def counting(counters: int, port: int, add: bool, verdict: Verdict) -> bytes:
    """A program that counts UDP packets to ``port``, and adds up payload if ``add``.

    ``counters``: file descriptor of a map whose first value is three 64-bit numbers:
    packets, bytes, sum (of words, then of the remaining bytes).
    """
    values = {
        "counters": counters,
        "ipv4": socket.htons(0x0800),
        "port": socket.htons(port),
        "verdict": int(verdict),
        "most": LONGEST // _BLOCK,
    }
    return assemble(_COUNT.format(sum=_SUM if add else ""), values)


def redirecting(sockets: int) -> bytes:
    """A program that redirects each packet to the AF_XDP socket of its queue.

    ``sockets``: file descriptor of the map with the sockets.
    """
    return assemble(_REDIRECT, {"sockets": sockets})
