# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest
from iced_x86 import Code

from tests.translate.assemble import assemble
from ubypass.abi import Abi, ExitReason
from ubypass.region.discover import HotEntry, RegionSpec, discover
from ubypass.region.reader import BytesReader
from ubypass.translate.features import needs
from ubypass.translate.translate import translate

_TEXT = 0x7F00_0000_1000


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (Code.ADD_RM64_R64, set()),
        (Code.PADDB_XMM_XMMM128, set()),
        (Code.VEX_VPADDB_YMM_YMM_YMMM256, {"avx2"}),
        (Code.LZCNT_R64_RM64, {"abm"}),
        (Code.CMPXCHG16B_M128, {"cx16"}),
        (Code.SAHF, {"lahf_lm"}),
        (Code.VEX_VAESENC_YMM_YMM_YMMM256, {"vaes"}),
    ],
)
def test_names(code: Code, expected: set[str]) -> None:
    assert needs(code) == expected


def test_what_the_processor_lacks_stays_outside() -> None:
    source = "mov eax, 39\nsyscall\nstart: mulx rax, rbx, rcx\njmp start - 7"
    code, labels = assemble(source, _TEXT)
    region = discover(
        RegionSpec((HotEntry(labels["start"], 39),)), BytesReader({_TEXT: code})
    )

    def reasons(features: frozenset[str] | None) -> set[ExitReason]:
        translation = translate(region, Abi(features=features))
        return {leave.reason for leave in translation.exits}

    assert ExitReason.UNSUPPORTED in reasons(frozenset())
    assert ExitReason.UNSUPPORTED in reasons(frozenset({"bmi1"}))
    assert ExitReason.UNSUPPORTED not in reasons(frozenset({"bmi2"}))
    assert ExitReason.UNSUPPORTED not in reasons(None)
