# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.bench.documents.samples import ICOUNT, ISOLATED, MILAN, SKYLAKE, chain
from tests.bench.samples import record
from tests.bench.server.samples import server_record
from ubypass.bench.documents.chains import CHAINS
from ubypass.bench.documents.kind import Kind
from ubypass.bench.documents.loops import LOOPS
from ubypass.bench.documents.names import machine_names, ordered, rank, titles
from ubypass.bench.documents.read import Batch, batch
from ubypass.bench.documents.servers import SERVERS


def _batch(kind: Kind, name: str, *records: Any) -> Batch:
    return batch(Path(f"{name}.json"), kind, records, "")


@pytest.mark.parametrize(
    ("cpu", "name"),
    [
        ("Intel Xeon Processor (Skylake, IBRS)", "Skylake-Server"),
        ("Intel Xeon Processor (SapphireRapids)", "SapphireRapids"),
        ("AMD EPYC-Milan Processor", "EPYC-Milan"),
        ("QEMU TCG CPU version 2.5+", "QEMU TCG CPU"),
        ("Intel(R) Xeon(R) CPU E5-2670 @ 2.60GHz", "Intel Xeon CPU E5-2670"),
        ("AMD EPYC 9B14", "AMD EPYC 9B14"),
    ],
)
def test_a_processor_in_short(cpu: str, name: str) -> None:
    machine = replace(ICOUNT, cpu=cpu)
    assert machine_names([machine]) == {machine: f"{name} without page-table isolation"}


def test_machines_are_told_apart_by_no_more_than_it_takes() -> None:
    off = replace(SKYLAKE, mitigations=(), page_table_isolation=False)
    nopti = replace(SKYLAKE, page_table_isolation=False, mitigations=("tsa: New",))
    newer = replace(ICOUNT, kernel="6.12.1")
    names = machine_names([ICOUNT, newer, SKYLAKE, off, nopti])
    assert list(names.values()) == [
        "QEMU TCG CPU without page-table isolation, Linux 6.1.0-56-amd64",
        "QEMU TCG CPU without page-table isolation, Linux 6.12.1",
        "Skylake-Server with page-table isolation",
        "Skylake-Server without page-table isolation, no mitigations",
        "Skylake-Server without page-table isolation, tsa: New",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"erms": False},
        {"accelerator": "kvm"},
        {"unit": "ns"},
        {"cpu": "QEMU TCG CPU version 3"},
        {"mitigations": ("l1tf: PTE Inversion",)},
    ],
)
def test_whatever_differs(change: dict[str, Any]) -> None:
    names = machine_names([ICOUNT, replace(ICOUNT, **change)])
    assert len(set(names.values())) == 2


def test_what_a_kernel_does_least_comes_first() -> None:
    assert sorted([SKYLAKE, ISOLATED, MILAN, ICOUNT], key=rank) == [
        *(ICOUNT, MILAN, ISOLATED, SKYLAKE)
    ]


def test_titles_name_machines_only_where_there_are_several() -> None:
    given = [
        _batch(LOOPS, "io", record()),
        _batch(LOOPS, "io-skylake", record(machine=SKYLAKE)),
        _batch(SERVERS, "redis", server_record()),
        _batch(SERVERS, "nginx", server_record(server="nginx", machine=SKYLAKE)),
    ]
    assert titles(given) == [
        "Loops, QEMU TCG CPU without page-table isolation",
        "Loops, Skylake-Server with page-table isolation",
        "redis",
        "nginx",
    ]


def test_files_where_machines_do_not_tell() -> None:
    assert titles([_batch(LOOPS, name, record()) for name in "ab"]) == [
        "Loops: a",
        "Loops: b",
    ]
    given = [
        _batch(LOOPS, "a", record(machine=SKYLAKE)),
        _batch(LOOPS, "b", record(machine=SKYLAKE)),
        _batch(LOOPS, "c", record(), record(machine=SKYLAKE)),
    ]
    assert titles(given) == [
        "Loops, Skylake-Server with page-table isolation: a",
        "Loops, Skylake-Server with page-table isolation: b",
        "Loops",
    ]
    assert titles([_batch(CHAINS, name, chain()) for name in "ab"]) == [
        "Chains replayed: a",
        "Chains replayed: b",
    ]


def test_batches_of_one_title_stand_together() -> None:
    given = [
        _batch(LOOPS, "io-skylake", record(machine=SKYLAKE)),
        _batch(SERVERS, "redis", server_record()),
        _batch(LOOPS, "io", record()),
    ]
    assert [one.path.stem for one in ordered(given)] == ["io", "io-skylake", "redis"]
