# SPDX-License-Identifier: GPL-2.0-only
"""``ub store keygen``: a pair of keys for a fleet."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ubypass.cli.verbs import Verb
from ubypass.errors import UbError

__all__ = ["VERB", "configure", "run"]

_PRIVATE, _PUBLIC = "store.key", "store.pub"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "directory",
        type=Path,
        metavar="DIRECTORY",
        help=f"where to write {_PRIVATE} and {_PUBLIC}",
    )


def run(args: argparse.Namespace) -> int:
    """Write both files; 0. Raises UbError, also if one of them exists."""
    from ubypass.store.signing import generate

    private, public = args.directory / _PRIVATE, args.directory / _PUBLIC
    texts = generate()
    for path in (private, public):
        if os.path.lexists(path):
            raise UbError(f"{path} exists", "machines trust it: name another directory")
    for path, text, mode in zip((private, public), texts, (0o600, 0o644), strict=True):
        _write(path, text, mode)
    print(f"{private}  for machines that publish; keep it secret")
    print(f"{public}  for all machines")
    return 0


def _write(path: Path, text: str, mode: int) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(fd, "w", encoding="ascii") as out:
            os.fchmod(fd, mode)
            out.write(text)
    except OSError as error:
        raise UbError(f"cannot write {path}: {error.strerror}") from error


VERB = Verb("keygen", "make the keys of a fleet", configure, run)
