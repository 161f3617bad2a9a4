# SPDX-License-Identifier: GPL-2.0-only
"""Small programs made into cases."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tests.translate.assemble import assemble
from tests.translate.programs import Program
from ubypass.abi import Translation
from ubypass.native.case import ABI, Case, Kind, arrange, make_case
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.graph import Region
from ubypass.region.reader import BytesReader
from ubypass.translate.translate import translate

TEXT = 0x1234_5678_0000
NAMES = (
    *("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"),
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"),
)
_NOTHING: Mapping[str, str] = {}


def case_of(
    source: str,
    *,
    other: str = "",
    text: int = TEXT,
    nonpointers: Mapping[str, str] | None = None,
    **kinds: tuple[Kind, int],
) -> Case:
    """A case for assembly between ``start`` and the end, where it makes a call.

    With ``other`` the translation is that of other code: a wrong one. ``nonpointers``:
    by label the registers that are known to hold no address there.
    """
    code, translation, region = _build(source, text, nonpointers or {})
    if other:
        translation = _build(other)[1]
    registers = [kinds.get(name, (Kind.ANY, 0)) for name in NAMES]
    registers[4] = kinds.get("rsp", (Kind.STACK, 0))
    case = make_case(region, translation, {text: code}, arrange(text), registers)
    return replace(case, entries=(text,))


def calls_of(source: str, numbers: Sequence[int]) -> Case:
    """A loop of ``source`` and a system call that is expected to make ``numbers``."""
    code, labels = assemble(f"start:\n{source}\nsyscall\nafter: jmp start", TEXT)
    hot = [HotEntry(labels["after"], nr) for nr in numbers]
    region = discover(RegionSpec(tuple(hot)), BytesReader({TEXT: code}))
    return make_case(region, translate(region, ABI), {TEXT: code}, arrange(TEXT))


def _build(
    source: str, at: int = TEXT, nonpointers: Mapping[str, str] = _NOTHING
) -> tuple[bytes, Translation, Region]:
    text = f"start:\n{source}\nsyscall\nafter:\n"
    code, labels = assemble(text, at)
    known = {
        labels[label]: sum(1 << NAMES.index(name) for name in names.split())
        for label, names in nonpointers.items()
    }
    entries = HotEntry(at, 39), HotEntry(labels["after"], 39)
    region = discover(RegionSpec(entries, nonpointers=known), BytesReader({at: code}))
    return code, translate(region, ABI), region


def region_of(source: str) -> Region:
    """The region of such a case."""
    return _build(source)[2]


def random_program(seed: int) -> Case:
    """Calls, loops, branches, system calls; see :mod:`tests.translate.programs`."""
    program = Program(seed, gate=seed % 3 == 2)
    code, labels = assemble(program.text(), TEXT)
    hot = tuple(HotEntry(labels[name], nr) for name, nr in program.resumes)
    count = random.Random(seed).randint(1, len(hot))
    region = discover(RegionSpec(hot[:count]), BytesReader({TEXT: code}))
    translation: Translation = translate(region, ABI)
    return make_case(region, translation, {TEXT: code}, arrange(TEXT))
