# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import dataclasses

from tests.bench.samples import ICOUNT
from ubypass.bench.documents import wording
from ubypass.page.content import Standard

_MINUS = "\N{MINUS SIGN}"


def test_shares_are_never_rounded_up() -> None:
    assert wording.floor_percent(0.99999) == "99.9%"
    assert wording.floor_percent(1.0) == "100.0%"


def test_signs() -> None:
    assert wording.signed(-1234.4) == f"{_MINUS}1,234"
    assert wording.signed(0.6) == "+1"
    assert wording.signed_percent(-0.015) == f"{_MINUS}1.5%"
    assert wording.signed_percent(0.015) == "+1.5%"
    assert wording.signed_percent(-0.0001) == "0.0%"


def test_a_change_in_words() -> None:
    assert wording.change(-0.1, less="fewer") == "10.0% fewer"
    assert wording.change(0.1) == "10.0% more"
    assert wording.change(0.0001, "more", "fewer") == "no more and no fewer"


def test_what_a_clock_goes_by() -> None:
    ns = dataclasses.replace(ICOUNT, unit="ns")
    assert wording.standard(ICOUNT) is Standard.COUNTED
    assert wording.standard(ns) is Standard.EMULATED
    metal = dataclasses.replace(ns, accelerator="none")
    assert wording.standard(metal) is Standard.TIMED
    assert wording.unit(ICOUNT) == "instructions"
    assert wording.unit(ns) == "nanoseconds"


def test_where() -> None:
    assert wording.where(ICOUNT) == (
        "Linux 6.1.0-56-amd64, QEMU TCG CPU version 2.5+, without page-table "
        "isolation, accelerator tcg"
    )


def test_mitigations_are_told_in_short() -> None:
    texts = ("spectre_v2: Retpolines; STIBP: disabled", "meltdown: PTI")
    machine = dataclasses.replace(ICOUNT, page_table_isolation=True, mitigations=texts)
    assert wording.where(machine).endswith(
        "with page-table isolation, accelerator tcg, mitigations: PTI, retpolines"
    )
