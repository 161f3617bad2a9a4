# SPDX-License-Identifier: GPL-2.0-only
"""Made-up records that tests of this package share."""

from __future__ import annotations

from typing import Any

from ubypass.bench.records import Machine, Record

ICOUNT = Machine(
    kernel="6.1.0-56-amd64",
    cpu="QEMU TCG CPU version 2.5+",
    page_table_isolation=False,
    accelerator="tcg",
    unit="instructions",
)


def record(**changes: Any) -> Record:
    values: dict[str, Any] = {
        "workload": "pread",
        "size": 64,
        "sum": False,
        "native": 1400.0,
        "boosted": 1250.0,
        "handler": 1180.0,
        "gap": 20.0,
        "bypass_rate": 0.9995,
        "first_boost_s": 0.75,
        "same_results": True,
        "machine": ICOUNT,
    }
    return Record(**(values | changes))
