# SPDX-License-Identifier: GPL-2.0-only
"""Words and rounding that all documents of records share."""

from __future__ import annotations

from ubypass.bench.documents.mitigations import mitigations
from ubypass.bench.records import Machine
from ubypass.page.content import Standard

__all__ = [
    "change",
    "floor_percent",
    "isolation",
    "signed",
    "signed_percent",
    "standard",
    "unit",
    "where",
]


def unit(machine: Machine) -> str:
    """The unit of times, spelled out."""
    return "instructions" if machine.unit == "instructions" else "nanoseconds"


def standard(machine: Machine) -> Standard:
    """The standard of the figures, from the machine's clock and accelerator."""
    if machine.unit == "instructions":
        return Standard.COUNTED
    return Standard.EMULATED if machine.accelerator == "tcg" else Standard.TIMED


def isolation(machine: Machine) -> str:
    """Whether the kernel switches page tables at each system call, in words."""
    how = "with" if machine.page_table_isolation else "without"
    return f"{how} page-table isolation"


def where(machine: Machine) -> str:
    """The machine in one line."""
    active = ", ".join(mitigations(machine))
    return f"Linux {machine.where}{f', mitigations: {active}' if active else ''}"


def floor_percent(share: float) -> str:
    """A percentage, never rounded up: 99.96 % is not 100 %."""
    return f"{int(share * 1000) / 10:.1f}%"


def signed(value: float) -> str:
    """A whole number with its sign."""
    return f"{value:+,.0f}".replace("-", "\N{MINUS SIGN}")


def signed_percent(share: float) -> str:
    """A percentage with its sign; without one if it is rounded to 0."""
    text = f"{abs(share):.1%}"
    return (
        text
        if float(text[:-1]) == 0
        else ("\N{MINUS SIGN}" if share < 0 else "+") + text
    )


def change(share: float, more: str = "more", less: str = "less") -> str:
    """In words: a cost grows by ``share``, or if negative shrinks."""
    text = f"{abs(share):.1%}"
    if float(text[:-1]) == 0:
        return f"no {more} and no {less}"
    return f"{text} {less if share < 0 else more}"
