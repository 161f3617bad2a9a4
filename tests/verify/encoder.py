# SPDX-License-Identifier: GPL-2.0-only
"""Makes bytes from lines of the allow-list, so that every line can be tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ubypass.verify.allowlist import Form, Key
from ubypass.verify.prefixes import EVEX, LEGACY, VEX

_MAPS = ((), (0x0F,), (0x0F, 0x38), (0x0F, 0x3A))
_PP = {0: 0, 0x66: 1, 0xF3: 2, 0xF2: 3}


@dataclass(frozen=True)
class _Shape:
    """One way to write a form."""

    memory: bool
    size: str = ""  # "", "w" or "66"
    length: int = 0
    mask: int = 0
    zeroing: bool = False
    extra: bool = False


def encodings(key: Key, form: Form) -> Iterator[tuple[str, bytes]]:
    """Register and memory encodings (base rdi) in all sizes that the line allows."""
    for shape in _shapes(key, form):
        yield str(shape), _one(key, form, shape)


def _shapes(key: Key, form: Form) -> Iterator[_Shape]:
    has = form.attributes
    sizes: tuple[str, ...] = {
        "v": ("", "w") if "b" not in has else ("",),
        "y": ("", "w"),
    }.get(form.size, ("",))
    if "w1" in has:
        sizes = ("w",)
    elif "w0" in has:
        sizes = ("",)
    if form.size == "v" and not {"b", "no66", "w1"} & has:
        sizes = (*sizes, "66")
    every = {LEGACY: (0,), VEX: (0, 1), EVEX: (0, 1, 2)}[key[0]]
    lengths = tuple(form.lengths) or ((0,) if "lig" in has else every)
    for memory in (False, True) if form.modrm else (False,):
        if {False: "mem", True: "reg"}[memory] in has:
            continue
        for size in sizes:
            for length in lengths:
                yield _Shape(memory, size, length)
                if "k" in has:
                    yield _Shape(memory, size, length, mask=1)
                    if "z" in has or ("zr" in has and not memory):
                        yield _Shape(memory, size, length, mask=3, zeroing=True)
                if form.broadcast and memory:
                    yield _Shape(memory, size, length, extra=True)
            if not memory and {"er", "sae"} & has:
                for length in (0, 1, 2, 3) if "er" in has else lengths[-1:]:
                    yield _Shape(memory, size, length, extra=True)


def _one(key: Key, form: Form, shape: _Shape) -> bytes:
    family, prefix, opmap, opcode = key
    has = form.attributes
    wide = shape.size == "w"
    out = bytearray()
    vvvv = 5 if "va" in has else 0  # rbp, xmm5 or k5
    if family == VEX:
        tail = wide << 7 | (15 - vvvv) << 3 | shape.length << 2 | _PP[prefix]
        out += bytes((0xC4, 0xE0 | opmap, tail))
    elif family == EVEX:
        tail = shape.zeroing << 7 | shape.length << 5 | shape.extra << 4 | 8
        second = wide << 7 | (15 - vvvv) << 3 | 4 | _PP[prefix]
        out += bytes((0x62, 0xF0 | opmap, second, tail | shape.mask))
    else:
        if shape.size == "66":
            out.append(0x66)
        if prefix:
            out.append(prefix)
        rex = 8 * wide | ("b1" in has)
        if rex:
            out.append(0x40 | rex)
        out += bytes(_MAPS[opmap])
    out.append(opcode)
    if form.modrm:
        reg = form.extension if form.extension >= 0 else 2
        rm = form.rm if form.rm >= 0 else 3
        # A displacement keeps [rdi] apart from the register forms.
        last = (reg << 3 | 7 | 0x40, 8) if shape.memory else (0xC0 | reg << 3 | rm,)
        out += bytes(last)
    width = 1 if {"ib", "rel8"} & has else 4 if "rel32" in has else 0
    if "iz" in has or "iv" in has:
        width = 2 if shape.size == "66" else 8 if wide and "iv" in has else 4
    return bytes(out) + (b"\x10" if "is4" in has else b"\x11" * width)
