# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import re
from pathlib import Path

import pytest

from ubypass.doctor.check import Check, State
from ubypass.doctor.signatures import check_signatures

_ENFORCE = "sys/module/module/parameters/sig_enforce"
_LOCKDOWN = "sys/kernel/security/lockdown"
_SECURE = "sys/firmware/efi/efivars/SecureBoot-8be4df61"
_UNCHECKED = "sys/firmware/efi/efivars/MokSBStateRT-605dab50"
_KEYS = (
    "0a1 I--- 1 perm 1f03 0 0 asymmetri Debian Secure Boot CA: 6cce: X509.rsa []\n"
    "0a2 I--- 1 perm 1f03 0 0 asymmetri DKMS module signing key: 1f: X509.rsa []\n"
    "0a3 I--- 1 perm 1f03 0 0 asymmetri Example Ltd: module key: d3ef: X509.rsa []\n"
)


def _secure(root: Path) -> None:
    """Boot with Secure Boot."""
    (root / _SECURE).parent.mkdir(parents=True, exist_ok=True)
    (root / _SECURE).write_bytes(b"\x06\0\0\0\x01")


def _look(
    root: Path, files: dict[str, str], signer: str | None, *, compressed: bool = False
) -> Check:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    if _SECURE not in files:
        _secure(root)
    module = root / ("ub.ko.xz" if compressed else "ub.ko")
    module.touch()
    return check_signatures("6.1.0-1-amd64", module, lambda file: signer, root)


@pytest.mark.parametrize("enforced", ["N\n", "Y\n"])
@pytest.mark.parametrize(
    ("signer", "keys", "state", "words"),
    [
        ("", _KEYS, State.NOTE, "the module ub is not signed"),
        (
            "another key",
            _KEYS,
            State.NOTE,
            "'another key', whose key the kernel has not",
        ),
        (None, _KEYS, State.NOTE, "unknown whether the key of ub is enrolled"),
        (
            "DKMS module signing key",
            _KEYS,
            State.OK,
            "; the kernel has a key of this name",
        ),
    ],
)
def test_no_key_helps_under_lockdown(
    tmp_path: Path,
    enforced: str,
    signer: str | None,
    keys: str,
    state: State,
    words: str,
) -> None:
    """The module refuses its device there: ``tests/device/test_lockdown.py``."""
    files = {_LOCKDOWN: "none [integrity] confidentiality\n", "proc/keys": keys}
    check = _look(tmp_path, {**files, _ENFORCE: enforced}, signer)
    assert check.state is state
    assert check.found.startswith("only signed modules are loaded (lockdown); ")
    assert words in check.found
    # Nothing to type: it would lead nowhere.
    assert not re.search("mokutil|sign-file", check.advice)
    assert ("see 'lockdown' first" in check.advice) == (state is not State.OK)


def test_an_unsigned_module_is_to_be_signed(tmp_path: Path) -> None:
    check = _look(tmp_path, {_ENFORCE: "Y\n", "proc/keys": _KEYS}, "")
    assert check.state is State.FAIL
    assert "is not signed" in check.found
    assert "/lib/modules/6.1.0-1-amd64/build/scripts/sign-file sha256" in check.advice
    assert check.advice.endswith(f"{tmp_path}/ub.ko")
    check = _look(tmp_path, {}, "", compressed=True)
    assert check.advice.startswith(f"unxz {tmp_path}/ub.ko.xz && /lib/modules/")
    assert check.advice.endswith(f"{tmp_path}/ub.ko")


def test_a_key_that_is_not_enrolled_is_to_be(tmp_path: Path) -> None:
    keys = _KEYS.splitlines()[0]
    check = _look(
        tmp_path, {_ENFORCE: "Y\n", "proc/keys": keys}, "DKMS module signing key"
    )
    assert check.state is State.FAIL
    assert "whose key the kernel has not" in check.found
    assert "mokutil --import /var/lib/dkms/mok.pub" in check.advice


@pytest.mark.parametrize(
    ("signer", "state"),
    [
        ("DKMS module signing key", State.OK),
        # Behind its organization, as the kernel shows it.
        ("module key", State.OK),
        # A part of a name is another name.
        ("signing key", State.FAIL),
        ("Example Ltd", State.FAIL),
    ],
)
def test_a_key_that_is_enrolled_will_do(
    tmp_path: Path, signer: str, state: State
) -> None:
    check = _look(tmp_path, {_ENFORCE: "Y\n", "proc/keys": _KEYS}, signer)
    assert check.state is state


@pytest.mark.parametrize(("signer", "keys"), [(None, _KEYS), ("somebody", "")])
def test_what_cannot_be_seen_is_no_failure(
    tmp_path: Path, signer: str | None, keys: str
) -> None:
    check = _look(tmp_path, {_ENFORCE: "Y\n", "proc/keys": keys}, signer)
    assert check.state is State.NOTE
    assert "mokutil --test-key" in check.advice


def test_nobody_demands_it(tmp_path: Path) -> None:
    files = {_ENFORCE: "N\n", _LOCKDOWN: "[none] integrity\n"}
    assert _look(tmp_path, {**files, _SECURE: "\6\0\0\0\0"}, "").state is State.OK
    assert _look(tmp_path, {**files, _SECURE: "\6\0\0\0\1"}, "").state is State.NOTE


def test_before_there_is_a_module(tmp_path: Path) -> None:
    file = tmp_path / _ENFORCE
    file.parent.mkdir(parents=True)
    file.write_text("Y\n")
    _secure(tmp_path)
    check = check_signatures("6.1", tmp_path / "ub.ko", lambda file: "", tmp_path)
    assert check.state is State.FAIL
    assert "mokutil --import" in check.advice


@pytest.mark.parametrize(
    "variables",
    [
        {_SECURE: "\6\0\0\0\0"},
        # As after mokutil --disable-validation.
        {_SECURE: "\6\0\0\0\1", _UNCHECKED: "\6\0\0\0\1"},
    ],
)
@pytest.mark.parametrize(
    ("cmdline", "advice"),
    [
        ("quiet module.sig_enforce=1\n", "remove module.sig_enforce from the kernel"),
        ("quiet\n", "use a kernel without CONFIG_MODULE_SIG_FORCE"),
    ],
)
@pytest.mark.parametrize("signer", ["", None, "another key"])
def test_enrolled_keys_count_only_under_secure_boot(
    tmp_path: Path,
    variables: dict[str, str],
    cmdline: str,
    advice: str,
    signer: str | None,
) -> None:
    files = {_ENFORCE: "Y\n", "proc/keys": _KEYS, "proc/cmdline": cmdline, **variables}
    check = _look(tmp_path, files, signer)
    assert check.state is State.FAIL
    assert check.advice.startswith(advice)
    # A key of the kernel itself or of the firmware does.
    check = _look(tmp_path, files, "DKMS module signing key")
    assert check.state is State.OK
    assert not check.advice


def test_a_variable_that_shim_has_cleared_changes_nothing(tmp_path: Path) -> None:
    files = {_ENFORCE: "Y\n", "proc/keys": _KEYS, _UNCHECKED: "\6\0\0\0\0"}
    assert "mokutil --import" in _look(tmp_path, files, "another key").advice
