# SPDX-License-Identifier: GPL-2.0-only
"""Translations of all that was recorded of a program, made on the host.

In the guest, which is emulated, they would take ten times as long; there they are
loaded as soon as a process with that program begins.
"""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from tests.selftests import frozen, recorded
from ubypass.abi import Abi, Translation
from ubypass.device.types import Path as Trace
from ubypass.engine import build
from ubypass.engine.build import Builder
from ubypass.engine.built import NothingToBuild, Refused
from ubypass.region.reader import BytesReader

__all__ = ["ABI", "Made", "key_of", "translate_all"]

#: Written in the guest: the module's interface.
ABI = "abi"

#: Different instructions on the paths of a region, from its first site on; all its
#: instructions; and how far to explore beside paths. Fewer large regions need less room
#: than many small ones, which have the code of the C library each.
#: Targets of a return: what prints a line is called from everywhere.
#: The code of all regions of a program, in bytes: parents and children share the
#: module's arena. Seconds for building them.
_DISTINCT = 8000
_REGION = 10_000
_ASIDE = 4
_CANDIDATES = 64
_CODE = 450 << 10
_SECONDS = 120.0


@dataclass
class Made:
    """Of one program: ``sites`` seen, ``entered``: of these, sites with an entry."""

    translations: list[Translation] = field(default_factory=list)
    sites: int = 0
    entered: int = 0
    refused: dict[str, int] = field(default_factory=dict)


def key_of(program: str) -> str:
    """The name of files about a program."""
    return hashlib.sha256(program.encode(errors="surrogateescape")).hexdigest()[:16]


def translate_all(directory: Path) -> Iterator[tuple[str, Made]]:
    """Translate each program of which there is a recording and an image.

    ``directory`` has ``abi``, ``*.steps``, and ``*.image``; ``*.regions`` are written.
    """
    with _compact():
        yield from _translate_all(directory)


@contextlib.contextmanager
def _compact() -> Iterator[None]:
    """Builds regions with all that was recorded, and little beside, meanwhile."""
    with (
        mock.patch.object(build, "_TRACED_REGION", _REGION),
        mock.patch.object(build, "_EXPLORED", _REGION),
        mock.patch.object(build, "_ASIDES", ((_ASIDE, _REGION),)),
        mock.patch.object(build, "CANDIDATES", _CANDIDATES),
    ):
        yield


def _translate_all(directory: Path) -> Iterator[tuple[str, Made]]:
    abi: Abi = pickle.loads((directory / ABI).read_bytes())
    traces: dict[str, list[Trace]] = {}
    for file in sorted(directory.glob("*.steps")):
        for program, paths in recorded.read_paths(file.read_bytes()).items():
            traces.setdefault(program, []).extend(paths)
    for program, paths in traces.items():
        image = directory / f"{key_of(program)}.image"
        if not image.exists():
            continue
        made = _translated(paths, abi, BytesReader(*pickle.loads(image.read_bytes())))
        regions = directory / f"{key_of(program)}.regions"
        regions.write_bytes(frozen.dumps(made.translations))
        yield program, made


def _translated(paths: list[Trace], abi: Abi, reader: BytesReader) -> Made:
    builder = Builder(abi)
    # Only behind a call that is hooked can a region be entered.
    sites = recorded.sites_of(path for path in paths if path.nr in abi.args)
    made = Made(sites=len(sites))
    refused: Counter[str] = Counter()
    entered: set[int] = set()
    size = 0
    end = time.monotonic() + _SECONDS
    for site in sites:
        if site in entered:
            continue
        if size > _CODE or time.monotonic() > end:
            refused["no room"] += 1
            continue
        profile = recorded.profile_of(recorded.from_site(site, paths, _DISTINCT))
        known = {key for key in profile.entries if key.ip in sites}
        try:
            built = builder(profile.restricted_to(known), reader)
        except NothingToBuild:
            refused["nothing to build"] += 1
            continue
        except Refused as error:
            refused[str(error)] += 1
            continue
        made.translations.append(built.translation)
        size += len(built.translation.code)
        entered.update(entry.user_ip for entry in built.translation.entries)
    made.entered = len(entered.intersection(sites))
    made.refused = dict(refused)
    return made
