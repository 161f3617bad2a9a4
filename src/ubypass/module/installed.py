# SPDX-License-Identifier: GPL-2.0-only
"""The module as installed by a package or an administrator: its file and contents.

DKMS installs modules below ``/lib/modules/RELEASE``, compressed if the kernel's own
modules are. This file does not load the module.
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

#: Directories in depmod's order of preference; the kernel's own one has no ub.
_PLACES = ("updates/dkms", "updates", "extra")
_SIGNED = b"~Module signature appended~\n"
_ENDINGS = (".ko", ".ko.xz", ".ko.zst", ".ko.gz")


def installed_module(release: str, root: Path = Path("/")) -> Path | None:
    """The installed file for the kernel ``release``, if there is one."""
    home = root / "lib" / "modules" / release
    names = (home / place / f"ub{ending}" for place in _PLACES for ending in _ENDINGS)
    return next((path for path in names if path.is_file()), None)


def find_module(release: str, built: Path, *, own: bool) -> Path:
    """The module to load: the installed one or ``built``, the path of a local build.

    ``own``: a local build is preferred, as for a checkout. If neither exists, the
    result is ``built``.
    """
    if own and built.is_file():
        return built
    return installed_module(release) or built


def contents(file: Path) -> bytes | None:
    """The decompressed contents of a compressed module; None if it is not compressed.

    Raises UbError if the decompression fails.
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
    """The signer's name in the signature of ``file``.

    "" without a signature; None if unknown.
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
    """Decompress with the zstd program: Python has a library only since 3.14."""
    if shutil.which("zstd") is None:
        raise UbError(
            "the module is compressed, and zstd is not installed",
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
        raise OSError(err.decode(errors="replace").strip() or "zstd has failed")
    made: bytes = out
    return made


_UNPACK: dict[str, Callable[[bytes], bytes]] = {
    ".xz": lzma.decompress,
    ".gz": gzip.decompress,
    ".zst": _zstd,
}
