# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ubypass import executable, processor
from ubypass.errors import UbError
from ubypass.verify.check import processor_features


def _read(monkeypatch: pytest.MonkeyPatch, path: Path) -> frozenset[str]:
    monkeypatch.setattr(processor, "_CPUINFO", path)
    processor.features.cache_clear()
    found = processor.features()
    processor.features.cache_clear()
    return found


def test_what_the_kernel_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nflags\t\t: fpu sse2 bmi1\nbugs\t\t: x\n")
    assert _read(monkeypatch, path) == {"fpu", "sse2", "bmi1"}
    path.write_text("processor\t: 0\n")
    assert _read(monkeypatch, path) == frozenset()
    assert _read(monkeypatch, tmp_path / "missing") == frozenset()


def test_same_as_the_verifier_reads() -> None:
    assert processor.features() == processor_features()


def test_which_processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(processor, "_CPUINFO", path)
    path.write_text(
        "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n"
        "model name\t: AMD EPYC  9R14\n\nprocessor\t: 1\nvendor_id\t: other\n"
    )
    assert processor.vendor() == "AuthenticAMD"
    assert processor.describe() == "AMD EPYC 9R14 (AuthenticAMD, family 25, model 17)"
    path.write_text("")
    assert processor.vendor() == ""
    assert processor.describe() == "unknown processor (?, family ?, model ?)"


@pytest.fixture
def cpuinfo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """In place of /proc/cpuinfo; nothing is remembered of it afterwards."""
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(processor, "_CPUINFO", path)
    processor.features.cache_clear()
    processor.is_emulated.cache_clear()
    yield path
    processor.features.cache_clear()
    processor.is_emulated.cache_clear()


def test_microcode(cpuinfo: Path) -> None:
    cpuinfo.write_text("processor\t: 0\nmicrocode\t: 0x2b000603\n")
    assert processor.microcode() == "0x2b000603"
    cpuinfo.write_text("processor\t: 0\n")
    assert processor.microcode() == ""


@pytest.mark.parametrize(
    ("name", "signature", "emulated"),
    [
        ("Intel(R) Xeon(R) Processor", b"", False),
        ("Intel(R) Xeon(R) Processor", None, False),
        ("AMD EPYC 9R14", b"KVMKVMKVM", False),
        # QEMU with an Intel's name: only the signature tells.
        ("Intel Xeon Processor (Skylake)", b"TCGTCGTCGTCG", True),
        ("Intel Xeon Processor (Skylake)", b"KVMKVMKVM", False),
        ("QEMU TCG CPU version 2.5+", b"TCGTCGTCGTCG", True),
        ("QEMU TCG CPU version 2.5+", b"", True),
        ("QEMU TCG CPU version 2.5+", None, True),
        ("QEMU Virtual CPU version 2.5+", None, True),
        # qemu64 is KVM's model as well.
        ("QEMU Virtual CPU version 2.5+", b"KVMKVMKVM", False),
        ("VirtualApple @ 2.50GHz processor", b"", True),
        ("Cortex-A78", b"FEXIFEXIEMU", True),
        ("Intel(R) Core(TM) i7", b"Microsoft Hv", False),
        ("Intel(R) Core(TM) i7", b"VMwareVMware", False),
        ("", None, False),
    ],
)
def test_emulators(name: str, signature: bytes | None, emulated: bool) -> None:
    assert processor.is_emulator(name, signature) is emulated


def test_an_emulator_by_cpuinfo(cpuinfo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpuinfo.write_text("model name\t: QEMU TCG  CPU version 2.5+\nflags\t\t: fpu\n")
    assert processor.is_emulated()
    processor.is_emulated.cache_clear()
    cpuinfo.write_text("model name\t: AMD EPYC 9R14\nflags\t\t: fpu\n")
    assert not processor.is_emulated()


def test_an_emulator_by_its_leaf(
    cpuinfo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def answer(leaf: int, subleaf: int = 0) -> tuple[int, int, int, int]:
        asked.append(leaf)
        return 0x40000001, 0x54474354, 0x43544743, 0x47435447

    monkeypatch.setattr(processor, "cpuid", answer)
    cpuinfo.write_text("model name\t: Intel Xeon\nflags\t\t: fpu hypervisor\n")
    assert processor.hypervisor() == b"TCGTCGTCGTCG"
    assert processor.is_emulated()
    assert set(asked) == {0x40000000}


def test_without_a_hypervisor_its_leaf_is_not_asked(
    cpuinfo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a processor answers there without one, nobody knows."""
    monkeypatch.setattr(processor, "cpuid", lambda leaf: (1 / 0, 0, 0, 0))
    cpuinfo.write_text("model name\t: Intel Xeon\nflags\t\t: fpu\n")
    assert processor.hypervisor() == b""


def test_where_generated_code_is_forbidden(
    cpuinfo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, code: bytes) -> None:
        raise UbError("forbidden")

    monkeypatch.setattr(executable.Executable, "__init__", refuse)
    cpuinfo.write_text("model name\t: QEMU TCG\nflags\t\t: hypervisor\n")
    assert processor.hypervisor() is None
    assert not processor.is_emulated()


def test_cpuid_is_that_of_cpuinfo() -> None:
    highest, ebx, ecx, edx = processor.cpuid(0)
    name = b"".join(word.to_bytes(4, "little") for word in (ebx, edx, ecx))
    assert name.decode() == processor.vendor()
    assert highest >= 1


def test_what_names_a_design(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    monkeypatch.setattr(processor, "_CPUINFO", path)
    path.write_text("vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n")
    assert processor.identify() == processor.Identity("AuthenticAMD", 25, 17)
    path.write_text("vendor_id\t: other\ncpu family\t: ?\n")
    assert processor.identify() == processor.Identity("other", -1, -1)
