# SPDX-License-Identifier: GPL-2.0-only
"""Only what the fleet's key has signed is opened, at the address it was signed for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ubypass.errors import UbError
from ubypass.store.signing import generate, load_public, load_signer

_ADDRESS = "ab" * 32


def _pair(folder: Path, name: str = "key") -> tuple[Path, Path]:
    private, public = folder / name, folder / f"{name}.pub"
    texts = generate()
    for path, text, mode in zip((private, public), texts, (0o600, 0o644), strict=True):
        path.write_text(text)
        path.chmod(mode)
    return private, public


def test_what_was_signed_is_opened(tmp_path: Path) -> None:
    private, public = _pair(tmp_path)
    signer, keys = load_signer(private), load_public(public)
    data = signer.closed(_ADDRESS, b"contents")
    assert keys.opened(_ADDRESS, data) == b"contents"
    assert signer.public.opened(_ADDRESS, data) == b"contents"
    assert keys.opened("cd" * 32, data) is None  # put in another one's place
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 1
        assert keys.opened(_ADDRESS, bytes(changed)) is None
    for length in (0, 3, 40, 70):
        assert keys.opened(_ADDRESS, data[:length]) is None


def test_another_key_does_not_open_it(tmp_path: Path) -> None:
    old, new = _pair(tmp_path, "old"), _pair(tmp_path, "new")
    data = load_signer(new[0]).closed(_ADDRESS, b"x")
    assert load_public(old[1]).opened(_ADDRESS, data) is None
    both = tmp_path / "both"
    both.write_text("# while keys change\n" + old[1].read_text() + new[1].read_text())
    assert load_public(both).opened(_ADDRESS, data) == b"x"


def test_a_private_key_is_its_owners_alone(tmp_path: Path) -> None:
    private, public = _pair(tmp_path)
    private.chmod(0o640)
    with pytest.raises(UbError, match="others can read") as caught:
        load_signer(private)
    assert caught.value.hint == f"chmod 600 {private}"
    public.chmod(0o666)
    with pytest.raises(UbError, match="others can change") as caught:
        load_public(public)
    assert caught.value.hint == f"chmod 644 {public}"


def test_files_that_are_no_keys_are_told_of(tmp_path: Path) -> None:
    private, public = _pair(tmp_path)
    with pytest.raises(UbError, match="has no line 'ubypass-store-private"):
        load_signer(
            private.with_name("key.pub") if public.chmod(0o600) is None else public
        )
    damaged = tmp_path / "damaged"
    for text in ("ubypass-store-public AAAA\n", "ubypass-store-public !\n"):
        damaged.write_text(text)
        damaged.chmod(0o644)
        with pytest.raises(UbError, match="damaged"):
            load_public(damaged)
    with pytest.raises(UbError, match="cannot read"):
        load_public(tmp_path / "none")


def test_without_the_library_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(UbError) as caught:
        generate()
    assert "python3-cryptography" in caught.value.hint
