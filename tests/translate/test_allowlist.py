# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest
from iced_x86 import Code, Decoder

from ubypass.translate.allowlist import group, names, reason, refused


def test_every_name_is_one_of_iceds_and_there_once() -> None:
    assert len(names()) > 1400
    assert len(set(names())) == len(names())
    assert all(hasattr(Code, name) for name in (*names(), *refused()))
    assert not set(names()) & set(refused())


def test_groups() -> None:
    assert group(Code.ADD_RM64_R64) == "arithmetic"
    assert group(Code.ADDSD_XMM_XMMM64) == "vector_fp"
    assert group(Code.HLT) is None


def test_reasons() -> None:
    def why(data: str) -> str:
        return reason(Decoder(64, bytes.fromhex(data)).decode())

    assert "trapped" in why("0fa2")  # cpuid
    assert "inventor" in why("8fe978c2ca04")  # vprotd
    assert why("c4e265900c97") == "vector of addresses"  # vpgatherdd
    # By themselves they take so long that a budget of instructions bounds no time.
    assert all("preemption" in why(data) for data in ("f390", "0fc7f0", "480fc7f8"))
    assert "decoder" in why("62f5540858ca")  # vaddph
    assert why("0f01c8") == "not on the allow-list"  # monitor


@pytest.mark.parametrize(
    "name",
    # What iced does not call privileged or does not describe fully.
    ["WRPKRU", "POPFQ", "VMCALL", "XBEGIN_REL32", "STD", "CPUID", "CLZEROQ"],
)
def test_traps_for_the_unwary(name: str) -> None:
    assert group(getattr(Code, name)) is None
    assert refused()[name]
