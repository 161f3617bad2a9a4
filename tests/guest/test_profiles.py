# SPDX-License-Identifier: GPL-2.0-only
"""The module on processors for which the kernel patches itself otherwise.

With page-table isolation and cleared buffers on one, through SRSO's safe returns on the
other: loops are boosted, read what they read natively, and gain.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.guest.command import UB
from tests.guest.conftest import prepare
from tests.patient import PATIENT
from tests.places import ROOT
from ubypass.bench.modules import build_bench_module
from ubypass.bench.workloads import build_workloads
from ubypass.lab import kernels
from ubypass.lab.run import capture

pytestmark = [
    pytest.mark.guest,
    pytest.mark.stock("instructions are counted"),
]


def _measured(cpu: str) -> list[dict[str, Any]]:
    """Records of reads of 64 bytes on a guest with this CPU."""
    prepare()
    build_workloads()
    build_bench_module(kernels.default_release())
    file = ROOT / "build" / "tests" / f"profile-{cpu}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    command = [*UB, "bench", "io", "--quick", "--size", "64", "--json", str(file)]
    result = capture(command, replace(PATIENT, icount=True, cpu=cpu))
    said = result.stdout.decode() + result.stderr.decode()
    print(said)
    assert result.status == 0, said
    assert not result.log_problems
    records: list[dict[str, Any]] = json.loads(file.read_text())
    return records


@pytest.mark.parametrize(
    ("cpu", "isolated", "vulnerability", "measure"),
    [
        ("Skylake-Server", True, "mds", "Clear CPU buffers"),
        ("EPYC-Milan", False, "spec_rstack_overflow", "afe RET"),
    ],
)
def test_loops_gain(cpu: str, isolated: bool, vulnerability: str, measure: str) -> None:
    records = _measured(cpu)
    assert len(records) == 2
    for record in records:
        # That the kernel really is another one.
        assert record["page_table_isolation"] is isolated
        assert record["accelerator"] == "tcg"
        (said,) = (m for m in record["mitigations"] if m.startswith(vulnerability))
        assert measure in said
        assert record["same_results"]
        assert record["bypass_rate"] >= 0.99
        assert record["boosted"] < record["native"]
        assert record["capture"] >= 0.6
