# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from ubypass import processor
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
