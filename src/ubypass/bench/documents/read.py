# SPDX-License-Identifier: GPL-2.0-only
"""Reads files of records of any kind; a wrong file becomes an error for people."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ubypass.bench.documents.kind import Kind, Origin
from ubypass.bench.documents.table import KINDS
from ubypass.bench.records import unversioned
from ubypass.errors import UbError
from ubypass.files import read_text
from ubypass.page.content import Section, Words

__all__ = ["Batch", "Found", "batch", "read_all", "read_batch"]

#: The exceptions of Python for data that are not of a record's shape.
_WRONG = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError),
    RecursionError,
)

#: How to get a file that was asked for.
_AGAIN = "write it with --json of the verb that measures it: ub bench --help"


@dataclass(frozen=True, slots=True)
class Batch:
    """The records of one file with their description; ``text``: the file's contents."""

    path: Path
    kind: Kind
    records: Sequence[Any]
    findings: tuple[Words, ...]
    section: Section
    origins: tuple[Origin, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """The files that could be read, and the errors of the others.

    ``named``: whether the path of one of the others was given.
    """

    batches: tuple[Batch, ...]
    errors: tuple[UbError, ...]
    named: bool


def batch(path: Path, kind: Kind, records: Sequence[Any], text: str) -> Batch:
    """The description of ``records``.

    Raises any exception of Python for records with wrong types.
    """
    return Batch(
        path,
        kind,
        records,
        tuple(kind.findings(records)),
        kind.section(records),
        tuple(kind.origins(records)),
        text,
    )


def read_batch(path: Path) -> Batch:
    """Read the file at ``path``. Raises UbError if it holds no known records."""
    try:
        text = read_text(path)
        data = json.loads(text, parse_constant=_no_number, parse_float=_finite)
        kind = _kind(data)
    except _WRONG as error:
        raise UbError(f"{path} is not JSON ({_what(error)})") from error
    if data == []:
        raise UbError(f"{path} contains no records")
    if kind is None:
        raise UbError(f"{path} contains no records of 'ub bench'")
    try:
        return batch(path, kind, kind.read(_unversioned(data)), text)
    except (*_WRONG, UbError) as error:
        raise UbError(
            f"{path} contains records of '{kind.command}' that this version of ub "
            f"cannot read ({_what(error)})",
            "use the version of ub that wrote them, or measure again",
        ) from error


def read_all(places: Sequence[Path]) -> Found:
    """Read files, and the files ``*.json`` of directories in order of their names.

    Each file is read once. Never raises UbError.
    """
    batches: dict[Path, Batch] = {}
    errors: list[UbError] = []
    named = False
    for path, is_named in _files(places, errors):
        if path.resolve() in {known.resolve() for known in batches}:
            continue
        try:
            batches[path] = read_batch(path)
        except UbError as error:
            wanted = is_named and not error.hint
            errors.append(UbError(error.message, _AGAIN) if wanted else error)
            named = named or is_named
    return Found(tuple(batches.values()), tuple(errors), named)


def _files(
    places: Sequence[Path], errors: list[UbError]
) -> Iterator[tuple[Path, bool]]:
    """The paths of the files, and whether each was in ``places`` itself."""
    for place in places:
        if not place.is_dir():
            yield place, True
            continue
        try:
            inside = sorted(p for p in place.iterdir() if p.suffix == ".json")
        except OSError as error:
            errors.append(UbError(f"cannot read {place}: {error.strerror}"))
            continue
        if not inside:
            errors.append(UbError(f"there are no *.json files in {place}"))
        yield from ((path, False) for path in inside)


def _kind(data: Any) -> Kind | None:
    for kind in KINDS:
        first = data if kind.whole else data[0] if _is_list(data) else None
        if isinstance(first, dict) and kind.keys <= first.keys():
            return kind
    return None


def _unversioned(data: Any) -> Any:
    if isinstance(data, list):
        return [unversioned(record) for record in data]
    return unversioned(data)


def _is_list(data: Any) -> bool:
    return isinstance(data, list) and bool(data)


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _finite(word: str) -> float:
    value = float(word)
    if not math.isfinite(value):
        _no_number(word)
    return value


def _what(error: BaseException) -> str:
    """The error in a few words, without line breaks."""
    if isinstance(error, KeyError):
        return f"no {error.args[0]!r}"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    missing = re.search(r"missing .* arguments?: (.*)", str(error))
    if missing:
        return f"no {missing[1]}"
    return " ".join(str(error).split())[:120] or type(error).__name__
