# SPDX-License-Identifier: GPL-2.0-only
"""The fleet's keys (Ed25519), and the signature of stored translations.

A signature covers the content address: a translation of another program cannot be put
in its place. The verifier proves that a translation is safe for the kernel, not that it
computes what the program does; for that, users trust whoever has the private key.
"""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from ubypass.errors import UbError
from ubypass.files import open_regular

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

__all__ = ["PublicKeys", "Signer", "generate", "load_public", "load_signer"]

_MAGIC = b"UBST1\n"
_SIGNATURE = 64  # bytes
_DOMAIN = b"ubypass translation 1\0"
_PUBLIC, _PRIVATE = "ubypass-store-public", "ubypass-store-private"
_KEY = 32  # bytes, of either kind
_MOST_FILE = 1 << 16


class PublicKeys:
    """Opens what any of these keys has signed."""

    def __init__(self, keys: tuple[Ed25519PublicKey, ...]) -> None:
        self._keys = keys

    def opened(self, address: str, data: bytes) -> bytes | None:
        """The signed contents; None if no key has signed them for ``address``."""
        from cryptography.exceptions import InvalidSignature

        start = len(_MAGIC) + _SIGNATURE
        if not data.startswith(_MAGIC) or len(data) < start:
            return None
        signature, content = data[len(_MAGIC) : start], data[start:]
        for key in self._keys:
            try:
                key.verify(signature, _signed(address, content))
            except InvalidSignature:
                continue
            return content
        return None


class Signer:
    """Signs with the fleet's private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def closed(self, address: str, content: bytes) -> bytes:
        """``content`` with a signature for ``address``."""
        return _MAGIC + self._key.sign(_signed(address, content)) + content

    @property
    def public(self) -> PublicKeys:
        """The public key to it."""
        return PublicKeys((self._key.public_key(),))


def _signed(address: str, content: bytes) -> bytes:
    return _DOMAIN + address.encode() + b"\0" + content


def generate() -> tuple[str, str]:
    """A new pair: texts of the files of the private key and of the public key.

    Raises UbError without the library for signatures.
    """
    _require()
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ed25519

    key = ed25519.Ed25519PrivateKey.generate()
    raw = key.private_bytes(
        form.Encoding.Raw, form.PrivateFormat.Raw, form.NoEncryption()
    )
    public = key.public_key().public_bytes(form.Encoding.Raw, form.PublicFormat.Raw)
    return _line(_PRIVATE, raw), _line(_PUBLIC, public)


def load_public(path: Path) -> PublicKeys:
    """The keys in a file, one a line; several while keys are changed. Raises UbError.

    Only root, or this user, may be able to change the file.
    """
    _require()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    keys = _keys(path, _PUBLIC, 0o022, "others can change it")
    return PublicKeys(tuple(Ed25519PublicKey.from_public_bytes(key) for key in keys))


def load_signer(path: Path) -> Signer:
    """The private key in a file that its owner alone can read. Raises UbError."""
    _require()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    keys = _keys(path, _PRIVATE, 0o077, "others can read or change it")
    return Signer(Ed25519PrivateKey.from_private_bytes(keys[0]))


def _line(kind: str, key: bytes) -> str:
    return f"{kind} {base64.b64encode(key).decode()}\n"


def _keys(path: Path, kind: str, forbidden: int, why: str) -> list[bytes]:
    with open_regular(path) as file:
        status = os.fstat(file.fileno())
        text = file.read(_MOST_FILE)
    if status.st_mode & forbidden:
        mode = stat.S_IMODE(status.st_mode) & ~forbidden
        raise UbError(f"cannot use the key {path}: {why}", f"chmod {mode:o} {path}")
    if status.st_uid not in (0, os.geteuid()):
        raise UbError(
            f"cannot use the key {path}: it is another user's", f"chown root {path}"
        )
    keys = []
    for line in text.decode("utf-8", "replace").splitlines():
        word, _, rest = line.partition(" ")
        if word == kind:
            keys.append(_decoded(path, rest))
    if not keys:
        raise UbError(
            f"{path} has no line '{kind} ...'", "ub store keygen makes such files"
        )
    return keys


def _decoded(path: Path, text: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != _KEY:
        raise UbError(f"{path} has a damaged key", "ub store keygen makes new ones")
    return key


def _require() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise UbError(
            "a store needs the Python package cryptography, for signatures",
            "apt install python3-cryptography, or: pip install 'ubypass[store]'",
        ) from error
