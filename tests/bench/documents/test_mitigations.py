# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bench.samples import ICOUNT
from ubypass.bench.documents.mitigations import mitigations

#: In the words of Linux 6.1 and 6.18.
_SKYLAKE = (
    "indirect_target_selection: Aligned branch/return thunks",
    "itlb_multihit: KVM: Mitigation: VMX unsupported",
    "l1tf: PTE Inversion",
    "mds: Vulnerable: Clear CPU buffers attempted, no microcode; SMT vulnerable",
    "meltdown: PTI",
    "mmio_stale_data: Clear CPU buffers; SMT Host state unknown",
    "spec_store_bypass: Vulnerable",
    "spectre_v1: usercopy/swapgs barriers and __user pointer sanitization",
    "spectre_v2: Retpolines; STIBP: disabled; RSB filling; BHI: SW loop, KVM: SW loop",
    "srbds: Unknown: Dependent on hypervisor status",
)
_MILAN = (
    "spec_rstack_overflow: Vulnerable: Safe RET, no microcode",
    "spec_store_bypass: Vulnerable",
    "spectre_v2: Retpolines, IBPB: conditional, STIBP: disabled, RSB filling",
)


@pytest.mark.parametrize(
    ("texts", "short"),
    [
        ((), ()),
        (
            _SKYLAKE,
            (
                "PTI",
                "clear buffers (MDS, MMIO)",
                "retpolines",
                "aligned thunks",
                "clear branch history",
            ),
        ),
        (_MILAN, ("Safe RET", "retpolines")),
        (("tsa: Clear CPU buffers",), ("clear buffers (TSA)",)),
        (("mds: Vulnerable; SMT vulnerable",), ()),
    ],
)
def test_a_few_words(texts: tuple[str, ...], short: tuple[str, ...]) -> None:
    assert mitigations(replace(ICOUNT, mitigations=texts)) == short


def test_isolation_of_a_processor_that_needs_none() -> None:
    machine = replace(ICOUNT, page_table_isolation=True)
    assert mitigations(machine) == ("PTI",)
    assert mitigations(replace(machine, mitigations=("meltdown: PTI",))) == ("PTI",)


def test_what_is_unknown_is_told_as_it_is() -> None:
    texts = ("new_bug: Something; else", "spectre_v2: Retpolines")
    assert mitigations(replace(ICOUNT, mitigations=texts)) == (
        "retpolines",
        "new_bug: Something; else",
    )
