# SPDX-License-Identifier: GPL-2.0-only
"""Makes bytes from lines of the allow-list, so that every line can be tried."""

from __future__ import annotations

from collections.abc import Iterator

from ubypass.verify.allowlist import Form, Key

_MAPS = ((), (0x0F,), (0x0F, 0x38), (0x0F, 0x3A))
_PP = {0: 0, 0x66: 1, 0xF3: 2, 0xF2: 3}


def encodings(key: Key, form: Form) -> Iterator[tuple[str, bytes]]:
    """Register and memory encodings (base rdi) in all sizes that the line allows."""
    has = form.attributes
    sizes = {
        "v": ("", "w") if "b" not in has else ("",),
        "y": ("", "w"),
    }.get(form.size, ("",))
    if "w1" in has:
        sizes = ("w",)
    elif "w0" in has:
        sizes = ("",)
    if form.size == "v" and not {"b", "no66", "w1"} & has:
        sizes = (*sizes, "66")
    for size in sizes:
        for long in (False, True) if key[0] else (False,):
            if (long and "l0" in has) or (not long and "l1" in has):
                continue
            for kind in ("reg", "mem") if form.modrm else ("reg",):
                if {"reg": "mem", "mem": "reg"}[kind] in has:
                    continue
                yield f"{kind} {size} {long}", _one(key, form, size, long, kind)


def _one(key: Key, form: Form, size: str, long: bool, kind: str) -> bytes:
    vex, prefix, opmap, opcode = key
    has = form.attributes
    wide = size == "w"
    out = bytearray()
    if vex:
        vvvv = 0b1010 if "va" in has else 0b1111  # rbp or xmm5
        tail = wide << 7 | vvvv << 3 | long << 2 | _PP[prefix]
        out += bytes((0xC4, 0xE0 | opmap, tail))
    else:
        if size == "66":
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
        rm = 1 if "rm1" in has else 0 if "rm0" in has else 3
        # A displacement keeps [rdi] apart from the register forms.
        out += bytes((reg << 3 | 7 | 0x40, 8)) if kind == "mem" else b""
        out += bytes((0xC0 | reg << 3 | rm,)) if kind == "reg" else b""
    width = 1 if {"ib", "rel8"} & has else 4 if "rel32" in has else 0
    if "iz" in has or "iv" in has:
        width = 2 if size == "66" else 8 if wide and "iv" in has else 4
    return bytes(out) + (b"\x10" if "is4" in has else b"\x11" * width)
