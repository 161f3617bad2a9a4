# SPDX-License-Identifier: GPL-2.0-only
"""What the content address depends on, and what not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.places import ROOT
from tests.store.sample import ABI, Machine, random_bases, region_of
from ubypass.abi import Abi
from ubypass.store import address as address_module
from ubypass.store.address import address_of, environment, translator_digest
from ubypass.store.placement import placement_of

_SOURCE = ROOT / "src" / "ubypass"


def _address(machine: Machine, traces: int = 0, abi: Abi = ABI) -> str:
    region = region_of(machine, traces)
    return address_of(region, placement_of(region, machine.maps), environment(abi))


def test_it_is_the_same_wherever_files_are_mapped() -> None:
    found = {_address(Machine(random_bases(seed))) for seed in range(8)}
    assert len(found) == 1
    assert len(found.pop()) == 64


def test_it_does_not_depend_on_names_of_files_or_on_counts() -> None:
    one = _address(Machine(random_bases(1)), traces=1)
    assert _address(Machine(random_bases(2), inode=99), traces=5) == one
    assert _address(Machine(random_bases(2))) != one  # not traced at all


def test_it_does_not_depend_on_weights() -> None:
    machine = Machine(random_bases(1))
    region = region_of(machine, traces=2)
    place, inputs = placement_of(region, machine.maps), environment(ABI)
    other = replace(
        region,
        traced=frozenset(list(region.traced)[:1]),
        never_taken=frozenset(),
        seeds=tuple(region.blocks),
        execution_counts={},
    )
    assert address_of(other, place, inputs) == address_of(region, place, inputs)
    fewer = replace(region, entries=())
    assert address_of(fewer, place, inputs) != address_of(region, place, inputs)


@pytest.mark.parametrize(
    "patch", [{"add byte ptr [rcx + rax], 1": "add byte ptr [rcx + rax], 2"}]
)
def test_it_depends_on_each_byte_of_the_source(patch: dict[str, str]) -> None:
    plain = _address(Machine(random_bases(1)))
    assert _address(Machine(random_bases(1), patch=patch)) != plain


@pytest.mark.parametrize(
    "abi",
    [
        replace(ABI, features=frozenset({"cx16"})),
        replace(ABI, dispatch_size=176),
        replace(ABI, args={0: 3}),
        replace(ABI, x87=False),
        replace(ABI, filters=False),
        replace(ABI, trusted=True),
        replace(ABI, task_size_max=(1 << 56) - 4096),
        replace(ABI, max_code=1 << 17),
    ],
)
def test_it_depends_on_processor_and_module(abi: Abi) -> None:
    machine = Machine(random_bases(1))
    assert _address(machine, abi=abi) != _address(machine)


def test_it_depends_on_the_version_and_on_the_translator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = environment(ABI)
    monkeypatch.setattr(address_module, "VERSION", "99.0.0")
    assert environment(ABI) != plain
    monkeypatch.undo()
    monkeypatch.setattr(address_module, "translator_digest", lambda: "other")
    assert environment(ABI) != plain


def test_the_digest_covers_each_file_of_the_translator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is imported to translate, with its data, but errors for people."""
    script = "import sys, ubypass.translate.translate; print(*sys.modules)"
    said = subprocess.check_output([sys.executable, "-c", script], text=True)
    used = {name for name in said.split() if name.startswith("ubypass.")}
    parts = {name.split(".")[1] for name in used}
    assert parts >= {"abi", "region", "translate", "words"}
    names = []
    for part in parts - {"errors", "compiled"}:
        source = _SOURCE / part
        if source.is_dir():
            shutil.copytree(source, tmp_path / part)
            names += [f"{part}/{file.name}" for file in source.glob("[!_.]*.*")]
        else:
            names.append(f"{part}.py")
            shutil.copy(source.with_suffix(".py"), tmp_path)
    monkeypatch.setattr(address_module.resources, "files", lambda package: tmp_path)

    def digest() -> str:
        translator_digest.cache_clear()
        return translator_digest()

    try:
        plain = digest()
        assert digest() == plain
        for name in names:
            file = tmp_path / name
            content = file.read_bytes()
            file.write_bytes(content + b"#")
            assert digest() != plain, name
            file.write_bytes(content)
    finally:
        translator_digest.cache_clear()


def test_it_does_not_depend_on_features_that_no_instruction_needs() -> None:
    assert ABI.features is not None
    more = replace(ABI, features=ABI.features | {"hypervisor", "ibrs", "nonstop_tsc"})
    assert environment(more) == environment(ABI)
    assert environment(replace(ABI, features=None)) != environment(ABI)
