# SPDX-License-Identifier: GPL-2.0-only
"""Every form of the allow-list is translated, and the verifier takes the result.

Else one instruction that it refuses would cost the whole region.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import pytest
from iced_x86 import Code

from tests.translate.forms import instances
from ubypass.abi import Abi, ExitReason
from ubypass.region.discover import HotEntry, Limits, RegionSpec, discover
from ubypass.region.reader import BytesReader
from ubypass.translate.allowlist import group, names
from ubypass.translate.features import needs
from ubypass.translate.translate import translate
from ubypass.verify.allowlist import allowed
from ubypass.verify.check import VerifyError, check

_TEXT = 0x7F00_0000_1000
_ABI = Abi(dispatch_size=8, dispatch_vector_size=12)
_FEATURES = frozenset(
    feature
    for forms in allowed().values()
    for form in forms
    for feature in form.features | form.long_features
)
# first: mov eax, 39; syscall
_BEFORE = bytes.fromhex("b8270000000f05")
# Control flow has no instances that stand alone.
_APART = frozenset({"control"})
# inc of r8, r9, r12, r13, r14, rbx, rbp
_USES = [
    bytes.fromhex(text)
    for text in ("49ffc0", "49ffc1", "49ffc4", "49ffc5", "49ffc6", "48ffc3", "48ffc5")
]
# So many in one region.
_TOGETHER = 24


def _groups() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name in names():
        kind = group(getattr(Code, name))
        assert kind is not None
        if kind not in _APART:
            found[kind].append(name)
    return found


_GROUPS = _groups()


def _wrong(samples: list[bytes]) -> str:
    """What is wrong with a loop of ``samples`` and a system call; with registers r10
    and r11 in their own host registers, and spilled because others are used more.
    """
    used = b"".join(_USES) * (len(samples) + 1)
    return _fails(samples) or _fails([used, *samples])


def _fails(samples: list[bytes]) -> str:
    code = _BEFORE + b"".join(samples)
    back = -(len(code) + 5)
    code += b"\xe9" + back.to_bytes(4, "little", signed=True)
    spec = RegionSpec((HotEntry(_TEXT + len(_BEFORE), 39),))
    region = discover(spec, BytesReader({_TEXT: code}), Limits(reach=4000))
    translation = translate(region, _ABI, turns=3)
    for leave in translation.exits:
        if leave.reason in (ExitReason.UNSUPPORTED, ExitReason.FRONTIER):
            return f"not translated: +{leave.user_ip - _TEXT:#x} {code.hex()}"
    try:
        report = check(translation, _ABI, _FEATURES)
    except VerifyError as refusal:
        return refusal.message
    # Generated code sets flags through ah.
    known = frozenset({"lahf_lm"})
    for block in region.blocks.values():
        known = known.union(*(needs(i.code) for i in block.instructions))
    return "" if report.features <= known else f"needs {report.features - known}"


def _chunks(samples: list[bytes]) -> Iterator[list[bytes]]:
    for first in range(0, len(samples), _TOGETHER):
        yield samples[first : first + _TOGETHER]


@pytest.mark.parametrize("kind", _GROUPS)
def test_translated_and_verified(kind: str) -> None:
    samples: dict[bytes, str] = {}
    for name in _GROUPS[kind]:
        found = instances(getattr(Code, name))
        assert found, f"no instances of {name}"
        samples |= dict.fromkeys(found, name)
    wrong = []
    for chunk in _chunks([s for s in samples if not _reaches_far(samples[s], s)]):
        if not _wrong(chunk):
            continue
        # Which one?
        for sample in chunk:
            why = _wrong([sample])
            if why:
                wrong.append(f"{samples[sample]} {sample.hex()}: {why}")
    assert wrong == []


def _reaches_far(name: str, sample: bytes) -> bool:
    """Bit strings in memory are refused: a matter of the operand, not of the form."""
    if not name.startswith(("BT_", "BTS_", "BTR_", "BTC_")) or "_IMM8" in name:
        return False
    return _wrong([sample]).startswith("not translated")


def test_what_reaches_far_is_few() -> None:
    far = [
        name
        for name in _GROUPS["bits"] + _GROUPS["shifts"]
        if any(_reaches_far(name, sample) for sample in instances(getattr(Code, name)))
    ]
    assert len(far) in (0, 12)
