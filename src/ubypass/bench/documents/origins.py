# SPDX-License-Identifier: GPL-2.0-only
"""The origins of records that name their machine, their command and their date."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from ubypass.bench.documents.kind import Origin, grouped
from ubypass.bench.documents.wording import isolation, standard
from ubypass.bench.records import Machine

__all__ = ["origin", "origins"]


class _Recorded(Protocol):
    @property
    def machine(self) -> Machine: ...
    @property
    def command(self) -> str: ...
    @property
    def date(self) -> str: ...


_R = TypeVar("_R", bound=_Recorded)


def origins(
    records: Sequence[_R],
    command: Callable[[list[_R]], str] = lambda own: own[0].command,
) -> list[Origin]:
    """One origin for each machine and command, with the date of its first record.

    ``command``: the command of the records of one origin.
    """
    groups = grouped(records, lambda r: (r.machine, r.command))
    return [origin(own, command(own)) for own in groups.values()]


def origin(own: Sequence[_Recorded], command: str) -> Origin:
    """The origin of records of one machine and ``command``."""
    machine = own[0].machine
    return Origin(command, standard(machine), _rows(machine), own[0].date, machine)


def _rows(machine: Machine) -> tuple[tuple[str, str], ...]:
    """Names and values of the properties on which figures depend."""
    found = [
        ("kernel", f"Linux {machine.kernel}"),
        ("processor", machine.cpu),
        ("isolation", isolation(machine)),
        ("accelerator", machine.accelerator),
    ]
    if machine.erms is not None:
        found.append(("fast strings (ERMS)", "yes" if machine.erms else "no"))
    if machine.mitigations:
        found.append(("mitigations", "; ".join(machine.mitigations)))
    return tuple(found)
