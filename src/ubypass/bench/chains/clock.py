# SPDX-License-Identifier: GPL-2.0-only
"""Replacements for vDSO functions that return the captured times again.

The vDSO functions read the clock, which has advanced since the capture. The replay
replaces them with code that reads the time stamp counter as they do, for the same cost,
and returns the captured answers in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ubypass.bench.chains.snapshot import Answer, Capture
from ubypass.errors import UbError
from ubypass.process.elf import parse_elf

__all__ = ["TIMES_AT", "Clock", "clock_of"]

#: Address of the answers in the replay: an offset, then three words per answer.
TIMES_AT = 0x1006_0000_0000

_SIZE = 24

# Loads the words of the next answer into rax, rdx and r9.
_HEAD = (
    b"\x0f\xae\xe8"  # lfence
    b"\x0f\x31"  # rdtsc
    b"\x49\xb8"
    + TIMES_AT.to_bytes(8, "little")  # mov r8, TIMES_AT
    + b"\x49\x8b\x08"  # mov rcx, [r8]
    b"\x48\x8d\x41\x18"  # lea rax, [rcx + 24]
    b"\x49\x89\x00"  # mov [r8], rax
    b"\x49\x8b\x44\x08\x08"  # mov rax, [r8 + rcx + 8]
    b"\x49\x8b\x54\x08\x10"  # mov rdx, [r8 + rcx + 16]
    b"\x4d\x8b\x4c\x08\x18"  # mov r9, [r8 + rcx + 24]
)
_HEAD_LENGTHS = (3, 2, 10, 3, 4, 3, 5, 5, 5)
_TO_RSI = (b"\x48\x89\x16", b"\x4c\x89\x4e\x08")  # mov [rsi], rdx; mov [rsi + 8], r9
_TO_RDI = (b"\x48\x89\x17", b"\x4c\x89\x4f\x08")
_RET = b"\xc3"


@dataclass(frozen=True, slots=True)
class Clock:
    """The replacement code of a capture.

    ``patches``: new bytes by address; ``paths``: by the address of a function, the
    addresses of the instructions from its entry to its return; ``times``: the captured
    answers in the layout that the code reads.
    """

    patches: Mapping[int, bytes]
    paths: Mapping[int, tuple[int, ...]]
    times: bytes


def clock_of(capture: Capture) -> Clock:
    """The replacement code for the vDSO calls of a chain.

    Raises UbError for a call that the replay does not support.
    """
    area = capture.vdso
    if not capture.answers or area is None:
        return Clock({}, {}, b"")
    image = capture.content(area)
    names = {a + area.start: n for n, a, _ in parse_elf(image, "vDSO").functions()}
    free = area.start + (len(image.rstrip(b"\0")) + 15) // 16 * 16
    patches: dict[int, bytes] = {}
    paths: dict[int, tuple[int, ...]] = {}
    times = b""
    for answer in capture.answers:
        name = names.get(answer.entry, "").removeprefix("__vdso_")
        stores, words = _stores(name, answer)
        times += b"".join(
            word.to_bytes(8, "little") for word in (answer.result, *words)
        )
        pieces = (*stores, _RET)
        code = _HEAD + b"".join(pieces)
        if answer.entry in paths:
            if patches[paths[answer.entry][1]] != code:
                raise UbError(f"{capture.origin.name} calls {name} in several ways")
            continue
        if free + len(code) > area.end:
            raise UbError("the vDSO has no room for replacement code")
        patches[answer.entry] = b"\xe9" + (free - answer.entry - 5).to_bytes(
            4, "little", signed=True
        )
        patches[free] = code
        path = [answer.entry]
        at = free
        for length in (*_HEAD_LENGTHS, *map(len, pieces)):
            path.append(at)
            at += length
        paths[answer.entry] = tuple(path)
        free = (at + 15) // 16 * 16
    return Clock(patches, paths, times)


def _stores(name: str, answer: Answer) -> tuple[tuple[bytes, ...], tuple[int, int]]:
    """The store instructions for an answer, and the two words that they store."""
    if name == "clock_gettime" and answer.rsi:
        return _TO_RSI, answer.at_rsi
    if name == "clock_getres" and answer.rsi:
        return _TO_RSI, answer.at_rsi
    if name == "gettimeofday" and answer.rdi and not answer.rsi:
        return _TO_RDI, answer.at_rdi
    if name == "time":
        return (_TO_RDI[:1] if answer.rdi else ()), answer.at_rdi
    raise UbError(
        f"the program calls {name or 'something unknown'} of the vDSO in a way that "
        "the replay does not support"
    )
