# SPDX-License-Identifier: GPL-2.0-only
"""From the name of a store to its backend."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from ubypass.errors import UbError
from ubypass.store.backend import Backend
from ubypass.store.directory import Directory

__all__ = ["check_place", "open_backend"]

_S3 = "s3+"


def check_place(place: str) -> None:
    """Raises ``ValueError`` with a text for people unless ``place`` names a store."""
    if place.startswith("/"):
        return
    parts = urlsplit(place.removeprefix(_S3))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            f"{place!r} is neither a path nor a URL: /var/lib/..., https://HOST/PATH "
            "or s3+https://HOST/BUCKET"
        )
    if parts.username or parts.query or parts.fragment:
        raise ValueError(f"{place!r} has more than host and path")


def open_backend(place: str, region: str = "us-east-1") -> Backend:
    """The store at a path, at a URL, or ("s3+") in an S3-compatible service.

    ``region``: of S3. Raises UbError.
    """
    try:
        check_place(place)
    except ValueError as error:
        raise UbError(str(error)) from error
    if place.startswith("/"):
        return Directory(Path(place))
    from ubypass.store.http import Http, s3_signature

    if place.startswith(_S3):
        return Http(place.removeprefix(_S3), s3_signature(region))
    return Http(place)
