# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import gzip
import lzma
import shutil
import subprocess
from pathlib import Path

import pytest

from ubypass.errors import UbError
from ubypass.module.installed import (
    contents,
    find_module,
    installed_module,
    signer,
)

_RELEASE = "6.1.0-1-amd64"


def _install(root: Path, name: str) -> Path:
    file = root / "lib" / "modules" / _RELEASE / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"\x7fELF")
    return file


@pytest.mark.parametrize(
    "name", ["updates/dkms/ub.ko", "updates/dkms/ub.ko.xz", "extra/ub.ko.zst"]
)
def test_what_packages_install_is_found(tmp_path: Path, name: str) -> None:
    assert installed_module(_RELEASE, tmp_path) is None
    file = _install(tmp_path, name)
    assert installed_module(_RELEASE, tmp_path) == file
    assert installed_module("6.1.0-2-amd64", tmp_path) is None


def test_dkms_comes_first(tmp_path: Path) -> None:
    _install(tmp_path, "extra/ub.ko")
    file = _install(tmp_path, "updates/dkms/ub.ko.xz")
    assert installed_module(_RELEASE, tmp_path) == file


def test_a_checkout_prefers_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = tmp_path / "build" / "ub.ko"
    found: list[Path] = []
    monkeypatch.setattr(
        "ubypass.module.installed.installed_module",
        lambda release: found[0] if found else None,
    )
    assert find_module(_RELEASE, built, own=True) == built
    assert find_module(_RELEASE, built, own=False) == built
    found.append(tmp_path / "ub.ko.xz")
    assert find_module(_RELEASE, built, own=True) == found[0]  # nothing was built
    built.parent.mkdir()
    built.touch()
    assert find_module(_RELEASE, built, own=True) == built
    assert find_module(_RELEASE, built, own=False) == found[0]


def test_compressed_files_are_read(tmp_path: Path) -> None:
    data = b"\x7fELF" + bytes(5000)
    plain = tmp_path / "ub.ko"
    plain.write_bytes(data)
    assert contents(plain) is None
    for ending, made in (".xz", lzma.compress(data)), (".gz", gzip.compress(data)):
        file = tmp_path / f"ub.ko{ending}"
        file.write_bytes(made)
        assert contents(file) == data


@pytest.mark.skipif(shutil.which("zstd") is None, reason="needs zstd")
def test_zstd_is_a_program(tmp_path: Path) -> None:
    plain = tmp_path / "ub.ko"
    plain.write_bytes(b"\x7fELF" + bytes(5000))
    subprocess.run(["zstd", "-q", str(plain)], check=True)
    assert contents(tmp_path / "ub.ko.zst") == plain.read_bytes()


def test_without_zstd_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ub.ko.zst"
    file.touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UbError) as caught:
        contents(file)
    assert caught.value.hint == "apt install zstd"


def test_what_is_damaged_is_refused(tmp_path: Path) -> None:
    for ending in ".xz", ".gz":
        file = tmp_path / f"ub.ko{ending}"
        file.write_bytes(b"not compressed")
        with pytest.raises(UbError, match="cannot be decompressed"):
            contents(file)


def test_a_module_without_a_signature(tmp_path: Path) -> None:
    file = tmp_path / "ub.ko"
    file.write_bytes(b"\x7fELF")
    assert signer(file) == ""
    assert signer(tmp_path / "none.ko") is None


def test_who_has_signed_is_asked_of_modinfo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ub.ko.xz"
    file.write_bytes(lzma.compress(b"\x7fELF~Module signature appended~\n"))
    modinfo = tmp_path / "modinfo"
    modinfo.write_text('#!/bin/sh\n[ "$1 $2" = "-F signer" ] && echo "DKMS key"\n')
    modinfo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert signer(file) == "DKMS key"
