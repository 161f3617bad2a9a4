# SPDX-License-Identifier: GPL-2.0-only
"""Verifies a translation; must be called before each load.

Generated code runs in the kernel, so it is checked by code that is independent of
the translator. Verified code accesses no memory outside user space and its own frame,
leaves only by an exit, returns in bounded time and leaks no kernel data. Equivalence
with the user's code is not checked here.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ubypass.abi import Abi, ExitFlag, Translation
from ubypass.verify import budget, flow, graph
from ubypass.verify.errors import Rule, VerifyError
from ubypass.verify.insn import Access, Insn, Kind
from ubypass.verify.load import load
from ubypass.verify.number import check_numbers

__all__ = ["Report", "Rule", "VerifyError", "check", "processor_features"]

_USER: Final = ("clamped", "literal", "string", "thread")
_TARGET: Final = int(ExitFlag.TARGET)
_CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Report:
    """Figures of a verified translation.

    ``instructions``: without padding; ``accesses``: reachable accesses to user memory;
    ``proven``: number of memory operands by kind of proof (frame, constant, thread,
    clamped, literal); ``blocks``: reachable ones of ``blocks_total``; ``cycles`` in
    the graph; ``features``: processor features that the code needs; ``vector``:
    whether the code uses vector registers.
    """

    instructions: int
    accesses: int
    proven: Mapping[str, int]
    blocks: int
    blocks_total: int
    cycles: int
    features: frozenset[str]
    vector: bool


def check(
    translation: Translation, abi: Abi, features: frozenset[str] | None = None
) -> Report:
    """Proves that ``translation`` is safe to load into a module with this ABI.

    ``features`` are processor features by the kernel's names; the default is those of
    this machine: an instruction that the processor lacks would fault in the kernel.
    A trusted translation, whose addresses are guarded by branches alone, is accepted
    only for a trusted program (``abi.trusted``). Raises VerifyError naming the first
    broken rule.
    """
    if translation.trusted and not abi.trusted:
        reason = "guards without clamps, and the program is not trusted"
        raise VerifyError(Rule.SPECULATION, reason)
    loaded = load(translation, abi)
    needed = frozenset[str]().union(*(form.features for form in loaded.forms))
    present = processor_features() if features is None else features
    if not needed <= present:
        missing = ", ".join(sorted(needed - present))
        raise VerifyError(Rule.ENCODING, f"this processor does not have {missing}")
    blocks = graph.split(loaded)
    entries = [blocks.number[at] for at in loaded.entries]
    place, cycles = graph.survey(blocks, entries)
    budget.check_budget(loaded, blocks)
    targeted = {
        number
        for number, record in enumerate(translation.exits)
        if int(record.flags) & _TARGET
    }
    analysis = flow.Flow(loaded, blocks, place, targeted, translation.trusted)
    reached = analysis.run()
    check_numbers(loaded, translation)
    insns = loaded.insns
    walked: list[Insn] = []
    for block in reached:
        walked += insns[blocks.starts[block] : blocks.ends[block]]
    counts = [0] * len(Access)
    for insn, count in Counter(walked).items():
        counts[insn.access] += count
    proven = {access.name.lower(): counts[access] for access in Access if access}
    literal = len(analysis.literal)
    proven["literal"], proven["clamped"] = literal, proven.pop("user") - literal
    return Report(
        instructions=len(insns) - len(loaded.kinds[Kind.TRAP]),
        accesses=sum(proven[name] for name in _USER),
        proven={name: count for name, count in sorted(proven.items()) if count},
        blocks=len(reached),
        blocks_total=len(blocks.starts),
        cycles=cycles,
        features=needed,
        vector=any(form.vector for form in loaded.forms),
    )


@functools.cache
def processor_features() -> frozenset[str]:
    """The features of this machine's processor, as listed by the kernel.

    Empty if the kernel does not list them: then only the baseline is allowed.
    """
    try:
        text = _CPUINFO.read_text("ascii", "replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return frozenset(value.split())
    return frozenset()
