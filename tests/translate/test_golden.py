# SPDX-License-Identifier: GPL-2.0-only
"""What the translator makes of small programs, written out for review.

Each file in ``golden/`` has cases split by a ruler that names the case: assembly,
then a line of ``=``, then the listing. ``UBYPASS_REGOLD=1`` writes the listings
anew; read the difference before committing it.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.translate.assemble import assemble
from tests.translate.labelled import labelled
from ubypass.abi import Abi, Translation
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.graph import Region
from ubypass.region.reader import BytesReader
from ubypass.translate.listing import listing
from ubypass.translate.registers import NAMES
from ubypass.translate.translate import translate
from ubypass.verify.allowlist import allowed
from ubypass.verify.check import check

GOLDEN = Path(__file__).parent / "golden"
TEXT = 0x7F00_0000_1000
ABI = Abi(dispatch_size=8, dispatch_vector_size=12)
_RULER = re.compile(r"^-{8} (\w+)\n", re.MULTILINE)
_CALLS = re.compile(r"^# calls ([\d ]+)$", re.MULTILINE)
_STRANGE = re.compile(r"^# no address at (\w+): (.+)$", re.MULTILINE)
_TRUSTED = re.compile(r"^# trusted$", re.MULTILINE)
_FRED = re.compile(r"^# fred$", re.MULTILINE)
_EQUALS = "=" * 8
# A machine that the code of every case can run on.
_FEATURES = frozenset(
    feature
    for forms in allowed().values()
    for form in forms
    for feature in form.features | form.long_features
)


def cases(path: Path) -> list[tuple[str, str, str]]:
    """Name, assembly and expected listing of each case in a file."""
    parts = _RULER.split(path.read_text("utf-8"))[1:]
    found = []
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        source, _, expected = body.partition(f"{_EQUALS}\n")
        found.append((name, source, expected))
    return found


def build(source: str) -> tuple[Region, Translation]:
    """Discover and translate from the label ``start`` on, behind getpid or what a line
    ``# calls NUMBER...`` says. A line ``# no address at LABEL: REGISTER...`` says which
    registers are known to hold none, and a line ``# trusted`` that the program is
    trusted.
    """
    code, labels = assemble(source, TEXT)
    calls = _CALLS.search(source)
    numbers = map(int, calls[1].split() if calls else ["39"])
    known = {
        labels[label]: sum(1 << NAMES.index(name) for name in names.split())
        for label, names in _STRANGE.findall(source)
    }
    entries = tuple(HotEntry(labels["start"], nr) for nr in numbers)
    spec = RegionSpec(entries, nonpointers=known)
    region = discover(spec, BytesReader({TEXT: code}))
    return region, translate(region, abi_of(source), turns=3)


def abi_of(source: str) -> Abi:
    """The ABI for a case: of a trusted program, or with FRED, if it says so."""
    trusted, fred = bool(_TRUSTED.search(source)), bool(_FRED.search(source))
    return replace(ABI, trusted=trusted, fred=fred)


_ALL = [(path, *case) for path in sorted(GOLDEN.glob("*.txt")) for case in cases(path)]


@pytest.mark.parametrize(
    ("path", "name", "source", "expected"),
    _ALL,
    ids=[f"{path.stem}-{name}" for path, name, _, _ in _ALL],
)
def test_golden(path: Path, name: str, source: str, expected: str) -> None:
    region, translation = build(source)
    check(translation, abi_of(source), _FEATURES)
    got = labelled(listing(region, translation))
    if os.environ.get("UBYPASS_REGOLD"):
        _rewrite(path, name, got)
    else:
        assert got == expected


def _rewrite(path: Path, name: str, got: str) -> None:
    text = ""
    for known, source, expected in cases(path):
        new = got if known == name else expected
        text += f"{'-' * 8} {known}\n{source}{_EQUALS}\n{new}"
    path.write_text(text, "utf-8")


def test_every_case_has_a_listing() -> None:
    assert len(_ALL) > 20
    assert all(expected for _, _, _, expected in _ALL)
