# SPDX-License-Identifier: GPL-2.0-only
from pathlib import Path

import pytest

from ubypass.errors import UbError
from ubypass.lab import kvm


class _Probe:
    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.calls = 0

    def __call__(self, accel: str) -> bool:
        assert accel == "kvm"
        self.calls += 1
        return self.answer


@pytest.fixture(autouse=True)
def _host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with a /dev/kvm that can be opened and a QEMU that has a version."""
    device = tmp_path / "kvm"
    device.touch()
    qemu = tmp_path / "qemu"
    qemu.write_text("#!/bin/sh\necho QEMU emulator version 7.2.0\n")
    qemu.chmod(0o755)
    monkeypatch.setattr(kvm, "_DEVICE", device)
    monkeypatch.setattr(kvm, "find_qemu", lambda: str(qemu))
    monkeypatch.setenv("UBYPASS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("UBYPASS_ACCEL", raising=False)


@pytest.mark.parametrize(("works", "answer"), [(True, "kvm"), (False, "tcg")])
def test_a_boot_decides_once(works: bool, answer: str) -> None:
    probe = _Probe(works)
    assert [kvm.accelerator(probe) for _ in range(3)] == [answer] * 3
    assert probe.calls == 1


def test_another_qemu_is_another_question(tmp_path: Path) -> None:
    probe = _Probe(True)
    kvm.accelerator(probe)
    (tmp_path / "qemu").write_text("#!/bin/sh\necho QEMU emulator version 9.0.0\n")
    kvm.accelerator(probe)
    assert probe.calls == 2


def test_no_device_no_probe(tmp_path: Path) -> None:
    (tmp_path / "kvm").unlink()
    probe = _Probe(True)
    assert kvm.accelerator(probe) == "tcg"
    assert probe.calls == 0


def test_counting_instructions_needs_tcg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UBYPASS_ACCEL", "kvm")
    assert kvm.accelerator(_Probe(True), icount=True) == "tcg"


def test_override(monkeypatch: pytest.MonkeyPatch) -> None:
    probe = _Probe(True)
    monkeypatch.setenv("UBYPASS_ACCEL", "tcg")
    assert kvm.accelerator(probe) == "tcg"
    monkeypatch.setenv("UBYPASS_ACCEL", "xen")
    with pytest.raises(UbError, match="xen"):
        kvm.accelerator(probe)
    assert probe.calls == 0


def test_a_damaged_memory_is_asked_again(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "kvm.json").write_text("{")
    assert kvm.accelerator(_Probe(True)) == "kvm"
