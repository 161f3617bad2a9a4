# SPDX-License-Identifier: GPL-2.0-only
"""The kinds of records: detection, parsing and description."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ubypass.bench.records import Machine
from ubypass.page.content import Section, Standard, Words

__all__ = ["Kind", "Origin", "Pair", "grouped", "known"]

_T = TypeVar("_T")
_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of records.

    ``command`` repeats the measurement; ``machine``: names and values, for people;
    ``date``: of the measurement, or ""; ``on``: the machine, if records name it.
    """

    command: str
    standard: Standard
    machine: tuple[tuple[str, str], ...]
    date: str = ""
    on: Machine | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """The costs of one loop or server, natively and boosted, on one machine.

    ``case`` is the same on all machines. ``gained``: the gain as a share of what is
    possible; None if that is unknown. ``command`` repeats the measurement.
    """

    case: str
    machine: Machine
    native: float
    boosted: float
    gained: float | None
    command: str


def _none(records: Sequence[Any]) -> list[Pair]:
    return []


@dataclass(frozen=True, slots=True)
class Kind:
    """The records that one command writes.

    ``keys``: keys of each record that no other kind has all of. ``whole``: a file is
    one object instead of an array of records. ``read`` parses records; for data of
    another shape it may raise any exception that Python raises. ``findings``: sentences
    about the workloads, for all possible figures. ``section``: the full description,
    with plots. ``origins``: one for each machine and command. ``pairs``: the costs that
    are comparable with those of the same kind on other machines.
    """

    command: str
    keys: frozenset[str]
    read: Callable[[Any], Sequence[Any]]
    findings: Callable[[Sequence[Any]], list[Words]]
    section: Callable[[Sequence[Any]], Section]
    origins: Callable[[Sequence[Any]], list[Origin]]
    whole: bool = False
    pairs: Callable[[Sequence[Any]], list[Pair]] = _none


def grouped(items: Iterable[_T], key: Callable[[_T], _Key]) -> dict[_Key, list[_T]]:
    """The items by their keys, both in the order in which they first come."""
    found: dict[_Key, list[_T]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def known(cls: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """The items of ``data`` that are fields of the dataclass ``cls``.

    Newer versions add keys.
    """
    names = {field.name for field in dataclasses.fields(cls)}
    return {key: value for key, value in data.items() if key in names}
