# SPDX-License-Identifier: GPL-2.0-only
"""Names that tell machines and sections apart, as short as possible."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from ubypass.bench.documents.kind import grouped
from ubypass.bench.documents.mitigations import mitigations
from ubypass.bench.documents.read import Batch
from ubypass.bench.documents.wording import isolation, unit
from ubypass.bench.records import Machine

__all__ = ["machine_names", "ordered", "rank", "titles"]

#: QEMU's models have their names on the command line.
_SHORT = (
    (
        re.compile(r"Intel Xeon Processor \((Skylake|Cascadelake|Icelake)\b.*"),
        r"\1-Server",
    ),
    (re.compile(r"Intel Xeon Processor \((\w+)\b.*"), r"\1"),
    (re.compile(r"QEMU TCG CPU\b.*"), "QEMU TCG CPU"),
    (re.compile(r"AMD (EPYC-\w+) Processor.*"), r"\1"),
    (re.compile(r"\((R|TM|tm)\)| (CPU )?@ .*"), ""),
)


def _processor(machine: Machine) -> str:
    name = machine.cpu
    for pattern, short in _SHORT:
        name = pattern.sub(short, name)
    return " ".join(name.split())


def _copies(machine: Machine) -> str:
    if machine.erms is None:
        return "copies unknown"
    return "copies by bytes" if machine.erms else "copies by words"


#: What is told of a machine, if those before it do not tell it from others.
_PROPERTIES: tuple[Callable[[Machine], str], ...] = (
    lambda machine: f"Linux {machine.kernel}",
    lambda machine: ", ".join(mitigations(machine)) or "no mitigations",
    _copies,
    lambda machine: f"accelerator {machine.accelerator}",
    unit,
    lambda machine: machine.cpu,
    lambda machine: "; ".join(machine.mitigations),
)


def machine_names(machines: Sequence[Machine]) -> dict[Machine, str]:
    """A name for each machine: the processor, the isolation, and what else differs."""
    names = {one: f"{_processor(one)} {isolation(one)}" for one in machines}
    for text in _PROPERTIES:
        for same in grouped(names, names.__getitem__).values():
            if len({text(one) for one in same}) > 1:
                names |= {one: f"{names[one]}, {text(one)}" for one in same}
    return names


def rank(machine: Machine) -> tuple[bool, int]:
    """Sorts the machines whose kernel does least at system calls to the front."""
    return machine.page_table_isolation, len(mitigations(machine))


def ordered(batches: Sequence[Batch]) -> list[Batch]:
    """Those of one title together, in order of :func:`rank`; else the order is kept."""
    groups = grouped(batches, lambda batch: batch.section.title)
    return [batch for group in groups.values() for batch in sorted(group, key=_rank)]


def titles(batches: Sequence[Batch]) -> list[str]:
    """Titles of the sections.

    Those that would be equal name the machine, and if that is the same the file, too.
    """
    names = machine_names([one for batch in batches if (one := _machine(batch))])
    found = [batch.section.title for batch in batches]
    for same in grouped(range(len(batches)), found.__getitem__).values():
        own = [_machine(batches[n]) for n in same]
        for n, machine in zip(same, own, strict=True):
            if machine is not None and len(set(own)) > 1:
                found[n] += f", {names[machine]}"
    count = Counter(found)
    return [
        title if count[title] == 1 else f"{title}: {batch.path.stem}"
        for title, batch in zip(found, batches, strict=True)
    ]


def _rank(batch: Batch) -> tuple[bool, int]:
    machine = _machine(batch)
    return (False, 0) if machine is None else rank(machine)


def _machine(batch: Batch) -> Machine | None:
    """The machine of all records; None if they are of several or name none."""
    machines = {origin.on for origin in batch.origins}
    return machines.pop() if len(machines) == 1 else None
