# SPDX-License-Identifier: GPL-2.0-only
"""Checks of the lab must look and not start anything."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from ubypass.doctor import lab
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
        ("tcg", State.NOTE, "slow emulation"),
        (None, State.NOTE, "not tested"),
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

    exists, access = os.path.exists, os.access

    def there(path: str) -> bool:
        return path == "/dev/kvm" or exists(path)

    def allowed(path: str, mode: int) -> bool:
        return path == "/dev/kvm" or access(path, mode)

    monkeypatch.setattr(os.path, "exists", there)
    monkeypatch.setattr(os, "access", allowed)
    monkeypatch.setattr(kvm, "accelerator", accelerator)
    check = _look(tmp_path)["kvm"]
    assert check.state is state
    assert text in check.found


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty one, and package lists of apt that are there."""
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "deb.debian.org_dists_bookworm_main_binary-amd64_Packages.lz4").touch()
    monkeypatch.setattr(kernels, "_APT_LISTS", lists)
    monkeypatch.setenv("UBYPASS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _path_with(monkeypatch: pytest.MonkeyPatch, place: Path, *names: str) -> None:
    place.mkdir(exist_ok=True)
    for name in names:
        (place / name).touch(0o755)
    found = shutil.which
    monkeypatch.setattr(
        shutil, "which", lambda name, path=None: found(name, path=str(place))
    )


def test_what_builds_and_unpacks_is_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path
) -> None:
    _path_with(monkeypatch, tmp_path / "bin", "make", "dpkg-deb")
    checks = _look(tmp_path)
    assert checks["compiler"].state is State.FAIL
    assert checks["compiler"].advice == "apt install gcc"
    assert checks["programs"].state is State.FAIL
    assert checks["programs"].advice == "apt install kmod"
    _path_with(monkeypatch, tmp_path / "bin", "gcc", "depmod")
    checks = _look(tmp_path)
    assert checks["compiler"].state is State.OK
    assert "busybox" in checks["programs"].found
    assert checks["programs"].advice == "apt install busybox-static"


def test_apt_without_lists_cannot_fetch_a_kernel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path
) -> None:
    _path_with(monkeypatch, tmp_path / "bin", "apt-get")
    assert _look(tmp_path)["kernel"].state is State.OK
    for file in kernels._APT_LISTS.iterdir():
        file.unlink()
    check = _look(tmp_path)["kernel"]
    assert check.state is State.FAIL
    assert "no package lists" in check.found
    assert "apt-get update" in check.advice


def test_a_kernel_that_is_half_there_does_not_count(
    tmp_path: Path, cache: Path
) -> None:
    image = cache / "kernels" / "6.1.0-9-amd64" / "image"
    image.mkdir(parents=True)
    (image / "vmlinuz").touch()
    (image.parent / "image.files").write_text("1\n")
    assert _look(tmp_path)["kernel"].found == "6.1.0-9-amd64"
    (image / "vmlinuz").unlink()
    assert "none complete" in _look(tmp_path)["kernel"].found


def test_a_cache_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path
) -> None:
    assert _look(tmp_path)["cache"].state is State.OK
    cache.write_text("a file")
    assert "is not writable" in _look(tmp_path)["cache"].found
    cache.unlink()
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: path != tmp_path and access(path, mode)
    )
    check = _look(tmp_path)["cache"]
    assert check.state is State.FAIL
    assert "UBYPASS_CACHE" in check.advice


def test_a_full_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(9, 9, 5 << 20))
    check = _look(tmp_path)["cache"]
    assert check.state is State.FAIL
    assert "has 5 MiB free, a kernel needs 1024" in check.found
    (cache / "kernels" / "6.1.0-9-amd64" / "image").mkdir(parents=True)
    assert _look(tmp_path)["cache"].state is State.NOTE


def test_many_kernels_fit_on_a_line() -> None:
    names = [f"6.1.0-{n}-amd64" for n in range(5)]
    assert lab._listed(names) == "6.1.0-0-amd64, 6.1.0-1-amd64 and 3 more"
    assert lab._listed(names[:2]) == "6.1.0-0-amd64, 6.1.0-1-amd64"
    assert lab._listed(names[:1]) == "6.1.0-0-amd64"
