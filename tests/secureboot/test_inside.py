# SPDX-License-Identifier: GPL-2.0-only
"""What is typed of an advice: commands only, up to the restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.secureboot.inside import advised
from ubypass.doctor.check import Check
from ubypass.doctor.lockdown import check_lockdown
from ubypass.doctor.signatures import check_signatures


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, data in (
        ("sys/kernel/security/lockdown", b"none [integrity]\n"),
        ("sys/firmware/efi/efivars/SecureBoot-8be4df61", b"\x06\0\0\0\x01"),
        ("sys/firmware/efi/efivars/MokListRT-605dab50", b"\x06\0\0\0"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_lockdown(root: Path) -> None:
    (check,) = check_lockdown(root)
    assert advised(check.advice) == "mokutil --disable-validation"


def test_signatures(root: Path) -> None:
    (root / "sys/kernel/security/lockdown").unlink()
    for name, text in (
        ("sys/module/module/parameters/sig_enforce", "Y\n"),
        ("proc/keys", "1 I 1 perm 1f 0 0 asymmetri another: 1f: X509.rsa []\n"),
        ("ub.ko", ""),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)

    def check(signer: str) -> Check:
        return check_signatures("6.1", root / "ub.ko", lambda file: signer, root)

    enrol = advised(check("somebody").advice)
    assert enrol == "mokutil --import /var/lib/dkms/mok.pub"
    sign = advised(check("").advice)
    assert sign.startswith("/lib/modules/6.1/build/scripts/sign-file sha256 ")
    assert sign.endswith(f" {root}/ub.ko")


def test_nothing_advised_fails_when_typed() -> None:
    assert advised("") == "false"
