# SPDX-License-Identifier: GPL-2.0-only
"""Assembles the text cases of this directory into translations.

``pass.s`` and ``fail.s`` hold plain assembly, cases split by rulers. Labels carry
the metadata (``prelude.s`` has macros for them): ``entry*``, ``constants``,
``fault_at.FIXUP.*``, ``dispatch_at.NR.PRE.POST.*``, ``jump_at.*``. Lines ``#! …``
say the rest: ``rule``, ``features``, ``exit REASON [FLAGS [ADDRESS]]`` in place
of exit 0, ``entry OFFSET``, ``fault OFFSET FIXUP``. Cases that name a vector register
say so to the module unless they are ``scalar``; with ``x87`` they say that as well.
``trusted`` cases are translations of trusted programs.
"""

from __future__ import annotations

import io
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from ubypass.abi import (
    Abi,
    Dispatch,
    Entry,
    Exit,
    ExitFlag,
    ExitReason,
    Fault,
    Source,
    Translation,
)

HERE = Path(__file__).parent
_RULER = re.compile(r"^#-{10,} (\w+)\n", re.MULTILINE)
_VECTOR = re.compile(
    r"\b[xyz]mm\d|\bmm[0-7]\b|\bk[0-7]\b|emms|vzero|mxcsr|^#! vector", re.MULTILINE
)
_IP = 0x401000
_EXITS = (
    Exit(_IP, ExitReason.FAULT),
    Exit(_IP, ExitReason.BUDGET),
    Exit(_IP, ExitReason.WORK, ExitFlag.SLOT_SYSFLAGS),
    Exit(_IP, ExitReason.DISPATCHED, ExitFlag.SLOT_SYSFLAGS | ExitFlag.DISPATCHED),
    Exit(_IP, ExitReason.RET_MISS, ExitFlag.TARGET),
)


@dataclass(frozen=True)
class Case:
    """One case; ``words`` are the ``#!`` lines, split."""

    name: str
    text: str
    words: tuple[tuple[str, ...], ...]

    @property
    def trusted(self) -> bool:
        """Whether this is a translation of a trusted program."""
        return ("trusted",) in self.words

    def one(self, key: str, default: str = "") -> str:
        """What follows ``#! key``."""
        for first, *rest in self.words:
            if first == key:
                return " ".join(rest)
        return default


def read(file: str) -> list[Case]:
    """All cases of a file in this directory."""
    parts = _RULER.split((HERE / file).read_text("utf-8"))[1:]
    cases = []
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        lines = [line[2:].split() for line in text.splitlines() if line[:2] == "#!"]
        cases.append(Case(name, text, tuple(map(tuple, lines))))
    return cases


def translate(case: Case) -> Translation:
    """Assembles a case with GNU as."""
    x87 = ("x87",) in case.words
    named = x87 or bool(_VECTOR.search(case.text))
    vector = named and ("scalar",) not in case.words
    size = Abi().dispatch_vector_size if vector else Abi().dispatch_size
    prelude = (HERE / "prelude.s").read_text("ascii")
    code, symbols = assemble(f".set DISPATCH, {size}\n{prelude}{case.text}")
    entries: list[Entry] = []
    faults: list[Fault] = []
    dispatches: list[Dispatch] = []
    jumps: list[int] = []
    for name, offset in symbols.items():
        kind, *words = name.split(".")
        if kind.startswith("entry"):
            entries.append(Entry(_IP + len(entries), offset, 39))
        elif kind == "fault_at":
            faults.append(Fault(offset, symbols.get(words[0], 0)))
        elif kind == "dispatch_at":
            nr, pre, post = int(words[0]), symbols[words[1]], symbols[words[2]]
            dispatches.append(Dispatch(offset, nr, pre, post, _IP))
        elif kind == "jump_at":
            jumps.append(offset + 1)
    exits = list(_EXITS)
    for first, *rest in case.words:
        if first == "exit":
            flags = ExitFlag.NONE
            for name in rest[1].split("|") if rest[1:] else []:
                flags |= ExitFlag[name]
            ip = int(rest[2], 0) if rest[2:] else _IP
            exits[0] = Exit(ip, ExitReason[rest[0]], flags)
        elif first == "entry":
            entries.append(Entry(_IP + len(entries), int(rest[0], 0), 39))
        elif first == "fault":
            faults.append(Fault(int(rest[0], 0), symbols[rest[1]]))
    return Translation(
        code=code,
        entries=tuple(entries),
        exits=tuple(exits),
        faults=tuple(sorted(faults, key=lambda fault: fault.code_offset)),
        dispatches=tuple(dispatches),
        jumps=tuple(jumps),
        sources=(Source(_IP, b"\x90"),),
        constants=symbols.get("constants", len(code)),
        vector=vector,
        x87=x87,
        trusted=case.trusted,
    )


def assemble(text: str) -> tuple[bytes, dict[str, int]]:
    """Bytes of .text, and its labels by name."""
    with tempfile.NamedTemporaryFile(suffix=".o") as file:
        run = ["as", "--64", "-o", file.name, "-"]
        done = subprocess.run(run, input=text, capture_output=True, text=True)
        assert not done.returncode, done.stderr
        elf = ELFFile(io.BytesIO(file.read()))
    section = elf.get_section_by_name(".text")
    index = elf.get_section_index(".text")
    table = elf.get_section_by_name(".symtab")
    assert section is not None
    assert elf.get_section_by_name(".rela.text") is None
    symbols = {
        symbol.name: symbol["st_value"]
        for symbol in (table.iter_symbols() if table else ())
        if symbol.name and symbol["st_shndx"] == index
    }
    return section.data(), symbols
