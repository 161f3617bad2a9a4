# SPDX-License-Identifier: GPL-2.0-only
"""Assembly text to bytes at a fixed address, with GNU as."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path


def assemble(text: str, address: int) -> tuple[bytes, dict[str, int]]:
    """Machine code for ``text`` (Intel syntax) as if it stood at ``address``, and
    its labels.
    """
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        source = f".intel_syntax noprefix\n.text\n{text}\n"
        (work / "a.s").write_text(source)
        _run("as", "--64", "-o", str(work / "a.o"), str(work / "a.s"))
        _run(
            *("ld", "--no-warn-rwx-segments", "-e", "0", "-Ttext", hex(address)),
            *("-o", str(work / "a.elf"), str(work / "a.o")),
        )
        _run(
            *("objcopy", "-O", "binary", "-j", ".text"),
            *(str(work / "a.elf"), str(work / "a.bin")),
        )
        symbols = _run("nm", str(work / "a.elf"))
        labels = {}
        for line in symbols.splitlines():
            value, _, name = line.split()
            labels[name] = int(value, 16)
        return (work / "a.bin").read_bytes(), labels


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"{command[0]}: {done.stderr}")
    return done.stdout
