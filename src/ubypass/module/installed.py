# SPDX-License-Identifier: GPL-2.0-only
"""The module as a package or an administrator has installed it, and what is in it.

DKMS puts it below ``/lib/modules/RELEASE``, compressed where the kernel's own modules
are. This file does not load it.
"""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from ubypass import child
from ubypass.errors import UbError
from ubypass.files import open_regular

__all__ = ["contents", "find_module", "installed_module", "signer"]

#: In the order in which depmod prefers them; the kernel's own directory has no ub.
_PLACES = ("updates/dkms", "updates", "extra")
_SIGNED = b"~Module signature appended~\n"
_ENDINGS = (".ko", ".ko.xz", ".ko.zst", ".ko.gz")


def installed_module(release: str, root: Path = Path("/")) -> Path | None:
    """The installed file for the kernel ``release``, if there is one."""
    home = root / "lib" / "modules" / release
    names = (home / place / f"ub{ending}" for place in _PLACES for ending in _ENDINGS)
    return next((path for path in names if path.is_file()), None)


def find_module(release: str, built: Path, *, own: bool) -> Path:
    """Which of both to load: the installed one, or ``built``, where that may be.

    ``own``: what was built here comes first, as for a checkout. ``built`` if there is
    neither.
    """
    if own and built.is_file():
        return built
    return installed_module(release) or built


def contents(file: Path) -> bytes | None:
    """A compressed module, decompressed; None for one that is not compressed.

    Raises UbError if it cannot be.
    """
    unpack = _UNPACK.get(file.suffix)
    if unpack is None:
        return None
    with open_regular(file) as opened:
        data = opened.read()
    try:
        return unpack(data)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise UbError(
            f"{file} cannot be decompressed: {error}", "build and install it again"
        ) from error


def signer(file: Path) -> str | None:
    """The name in the certificate with which ``file`` is signed.

    "" if it has no signature; None if that cannot be told.
    """
    try:
        data = contents(file)
        if data is None:
            data = file.read_bytes()
    except (OSError, UbError):
        return None
    if not data.endswith(_SIGNED):
        return ""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    modinfo = shutil.which("modinfo", path=path)
    if modinfo is None:
        return None
    done = child.run(
        [modinfo, "-F", "signer", str(file)], capture_output=True, text=True
    )
    return done.stdout.strip() or None


def _zstd(data: bytes) -> bytes:
    """By the program: this Python has no such library."""
    if shutil.which("zstd") is None:
        raise UbError(
            "the module is compressed, and there is no zstd to read it",
            "apt install zstd",
        )
    with child.start(
        ["zstd", "-dcq"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            out, err = process.communicate(data)
        except BaseException:
            child.end(process)
            raise
    if process.returncode != 0:
        raise OSError(err.decode(errors="replace").strip() or "zstd fails")
    made: bytes = out
    return made


_UNPACK: dict[str, Callable[[bytes], bytes]] = {
    ".xz": lzma.decompress,
    ".gz": gzip.decompress,
    ".zst": _zstd,
}
