# SPDX-License-Identifier: GPL-2.0-only
"""Builds the programs that capture and replay, once for each version of their sources.

The replay has the module's own files in it, compiled for user mode: see ``shim.h``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from ubypass.native.build import compile_once, run_compiler
from ubypass.places import kernel_sources

__all__ = ["capture_program", "module_sources", "replay_program"]

_CAPTURE = ("-O2", "-Wall", "-Wextra", "-Werror")

# Without vector registers, fs and a C library, since all of these are the captured
# program's; in the lowest 2 GiB, where hardly any program has something, and as the
# kernel is compiled otherwise.
_REPLAY = (
    *("-O2", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"),
    *("-ffreestanding", "-nostdlib", "-static"),
    *("-fno-pie", "-no-pie", "-mgeneral-regs-only", "-fno-stack-protector"),
    *("-fcf-protection=none", "-fno-tree-loop-distribute-patterns", "-mno-red-zone"),
    *("-fno-asynchronous-unwind-tables", "-fno-strict-aliasing"),
    *("-mpreferred-stack-boundary=3", "-Wl,-Ttext-segment=0x70000000"),
    *("-Wl,-z,noexecstack", "-Wl,--build-id=none"),
)
_OWN = ("replay.c", "chain.c", "work.c", "module.c", "system.c", "stubs.S")
_MODULE = ("run.c", "dispatch.c", "x87.c", "enter.S", "trampoline.S")
_HEADERS = ("internal.h", "emit.h", "include/uapi/ub.h", "include/uapi/ub_syscalls.h")
_INCLUDED = re.compile(rb"^#include <((?:linux|asm)/[\w./-]+)>", re.MULTILINE)
_OFFSET = re.compile(r"->(\w+) \$?(-?\d+)")


@lru_cache(maxsize=1)
def capture_program() -> Path:
    """The program that captures. Raises UbError when it cannot be built."""
    source = files("ubypass.bench.chains") / "capture.c"
    return compile_once(
        "capture", {"capture.c": source.read_bytes()}, ("capture.c",), _CAPTURE
    )


@lru_cache(maxsize=1)
def replay_program() -> Path:
    """The program that replays. Raises UbError when it cannot be built."""
    package = files("ubypass.bench.chains")
    sources = {name: (package / name).read_bytes() for name in (*_OWN, "replay.h")}
    sources |= module_sources()
    return compile_once("replay", sources, (*_OWN, *_MODULE), _REPLAY, _add_offsets)


def module_sources() -> dict[str, bytes]:
    """The module's files that run in user mode, and all that they include, by name."""
    shim = files("ubypass.bench.chains") / "shim.h"
    sources = {"shim.h": shim.read_bytes()}
    for name in (*_MODULE, *_HEADERS, "offsets.c"):
        sources[Path(name).name] = (kernel_sources() / name).read_bytes()
    return sources | _kernel_headers(sources)


def _kernel_headers(sources: dict[str, bytes]) -> dict[str, bytes]:
    """Each header of the kernel that is asked for: it leads to ``shim.h``."""
    made = {}
    for text in sources.values():
        for found in _INCLUDED.findall(text):
            name = found.decode()
            made[name] = b'#include "%sshim.h"\n' % (b"../" * name.count("/"))
    # Tracepoints: an event that nobody watches is a jump that is not taken.
    made["trace.h"] = b""
    # Differences between kernels: shim.h is one of them.
    made["compat.h"] = b""
    return made


def _add_offsets(folder: Path) -> None:
    """``ub_offsets.h``, made of ``offsets.c`` as Kbuild makes it."""
    listing = folder / "offsets.s"
    command = ["-S", "-O1", "-I", str(folder), "-ffreestanding", "-mgeneral-regs-only"]
    run_compiler(
        "ub_offsets.h", [*command, str(folder / "offsets.c"), "-o", str(listing)]
    )
    lines = [
        f"#define {name} {value}"
        for name, value in _OFFSET.findall(listing.read_text())
    ]
    (folder / "ub_offsets.h").write_text("\n".join(lines) + "\n")
