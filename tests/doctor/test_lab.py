# SPDX-License-Identifier: GPL-2.0-only
"""Checks of the lab must look and not start anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ubypass.doctor.check import Check, State
from ubypass.doctor.lab import check_lab
from ubypass.errors import UbError
from ubypass.lab import kernels, kvm, qemu


def _look(files: Path) -> dict[str, Check]:
    return {check.name: check for check in check_lab(files)}


def test_missing_qemu_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing() -> str:
        raise UbError("no QEMU", "apt install qemu-system-x86")

    monkeypatch.setattr(qemu, "find_qemu", missing)
    monkeypatch.setattr(kvm, "find_qemu", missing)
    check = _look(tmp_path)["qemu"]
    assert check.state is State.FAIL
    assert "apt install" in check.advice


def test_modules_are_found_by_release(tmp_path: Path) -> None:
    assert _look(tmp_path)["module"].state is State.FAIL
    (tmp_path / "6.1.0-56-amd64").mkdir()
    (tmp_path / "6.1.0-56-amd64" / "ub.ko").write_bytes(b"")
    assert _look(tmp_path)["module"].found == "built for 6.1.0-56-amd64"


def test_no_kernel_and_no_apt_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(kernels, "cached_releases", lambda: [])
    monkeypatch.setenv("PATH", "/nowhere")
    assert _look(tmp_path)["kernel"].state is State.FAIL


@pytest.mark.parametrize(
    ("answer", "state", "text"),
    [
        ("kvm", State.OK, "works"),
        ("tcg", State.NOTE, "emulates"),
        (None, State.NOTE, "tried"),
    ],
)
def test_kvm_is_believed_only_if_it_has_booted(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    answer: str | None,
    state: State,
    text: str,
) -> None:
    def accelerator(boots: object) -> str:
        assert callable(boots)
        if answer is None:
            boots("kvm")
            pytest.fail("a probe must not have an answer")
        return answer

    monkeypatch.setattr(os.path, "exists", lambda path: True)
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    monkeypatch.setattr(kvm, "accelerator", accelerator)
    check = _look(tmp_path)["kvm"]
    assert check.state is state
    assert text in check.found
