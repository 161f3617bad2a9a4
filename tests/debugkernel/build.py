# SPDX-License-Identifier: GPL-2.0-only
"""Configures and compiles the kernel, and lays it out for the lab.

All is in one directory, ``build/debug-kernel`` (see `ubypass.lab.own`)::

    built      what the kernel was built from; there only if it is complete
    build.log  what make said last
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.debugkernel.source import COMPILER, SERIES, SUITE, Source, fetch, unpack
from ubypass import child
from ubypass.errors import UbError
from ubypass.lab import roots
from ubypass.lab.kernels import headers_dir

__all__ = ["HOME", "build", "lay_out", "lost"]

#: Where the kernel is.
HOME = Path(__file__).resolve().parents[2] / "build" / "debug-kernel"

Report = Callable[[str], None]

_CONFIG = Path(__file__).parent / "kernel.config"
_TAIL = "-debug"  # CONFIG_LOCALVERSION
_GOALS = ("bzImage", "scripts/module.lds")
_EACH = 20.0  # seconds between two lines on the progress
_OPTION = re.compile(r"^(CONFIG_\w+)=.*$", re.MULTILINE)
_STEP = re.compile(r"^  (?:CC|AS|LD|AR|OBJCOPY) +(?:\[M\] +)?(\S+)")
_ERROR = re.compile(r"error:|\*\*\*|: not found|undefined reference")
_SHOWN = 5  # lines
#: The tree remembers its tools, for modules that are built in it later.
_VARIABLES = f"""\
override ARCH = x86
override CC = {COMPILER}
override HOSTCC = {COMPILER}
"""


def build(home: Path, report: Report) -> str:
    """Build the kernel into ``home``, as far as it is not there; its release.

    A second call continues what was interrupted, or does nothing. Raises UbError.
    """
    source = fetch(report)
    release = source.upstream + _TAIL
    tree = headers_dir(home / "headers", release)
    stamp = f"{source.version} {hashlib.sha256(_CONFIG.read_bytes()).hexdigest()}\n"
    built = home / "built"
    if built.exists() and built.read_text() == stamp:
        return release
    built.unlink(missing_ok=True)
    if home.is_dir() and not tree.is_dir():
        shutil.rmtree(home)  # of another version
    unpack(source, tree, report)
    _configure(source, tree, home)
    report(f"compiling {release} (minutes); the log: {home / 'build.log'}")
    _make(source, tree, [f"-j{os.cpu_count()}", *_GOALS], home, report)
    lay_out(tree, home, release)
    built.write_text(stamp)
    return release


def lost(wanted: str, config: str) -> list[str]:
    """Lines of the configuration that the kernel's own tools have not taken over."""
    has = set(config.splitlines())
    lines = (found[0] for found in _OPTION.finditer(wanted))
    return [line for line in lines if line not in has]


def lay_out(tree: Path, home: Path, release: str) -> None:
    """Put what was built in ``tree`` where the lab looks for it."""
    image = home / "image"
    modules = image / "lib" / "modules" / release
    for directory in image / "boot", modules:
        directory.mkdir(parents=True, exist_ok=True)
    compressed = tree / "arch" / "x86" / "boot" / "bzImage"
    shutil.copy(compressed, image / "boot" / f"vmlinuz-{release}")
    # Nothing is built as a module, so nothing has to be loaded.
    shutil.copy(tree / "modules.builtin", modules)
    shutil.copy(tree / "modules.builtin.modinfo", modules)
    (modules / "modules.order").touch()
    depmod = shutil.which(
        "depmod", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    )
    if depmod is None:
        raise UbError("cannot index the modules: depmod not found", "apt install kmod")
    done = child.run([depmod, "-b", image, release], capture_output=True, text=True)
    if done.returncode != 0:
        raise UbError(f"cannot index the modules: {done.stderr.strip()}")
    # Of the kernel alone, which is all: there are no modules.
    shutil.copy(tree / "vmlinux.symvers", tree / "Module.symvers")
    # Debian's headers have their tools in a package of their own, whose name says which
    # libraries these need.
    kbuild = home / "headers" / "usr" / "lib" / f"linux-kbuild-{SERIES}"
    kbuild.parent.mkdir(parents=True, exist_ok=True)
    if not kbuild.is_symlink():
        kbuild.symlink_to(Path("..", "src", tree.name))
    (home / "suite").write_text(f"{SUITE}\n")
    (home / "release").write_text(f"{release}\n")


def _configure(source: Source, tree: Path, home: Path) -> None:
    wanted = _CONFIG.read_text()
    (tree / ".kernelvariables").write_text(_VARIABLES)
    chosen = tree / "kernel.config"
    if chosen.exists() and chosen.read_text() == wanted and (tree / ".config").exists():
        return  # a second time, it would compile all files anew
    chosen.write_text(wanted)
    goals = [f"KCONFIG_ALLCONFIG={chosen}", "allnoconfig"]
    _make(source, tree, goals, home, lambda phrase: None)
    missing = lost(wanted, (tree / ".config").read_text())
    if missing:
        chosen.unlink()
        raise UbError(
            f"the kernel {source.version} does not take {', '.join(missing)}",
            f"mend {_CONFIG}: another name, or something that it depends on",
        )


def _make(
    source: Source, tree: Path, goals: Sequence[str], home: Path, report: Report
) -> None:
    command = roots.inside(
        source.root, ["make", "-C", str(tree), *goals], [tree.parent]
    )
    # Settings of a calling make would change the kernel's build.
    unwanted = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "ARCH", "CROSS_COMPILE", "KBUILD")
    env = {k: v for k, v in os.environ.items() if not k.startswith(unwanted)}
    log = home / "build.log"
    process = child.start(
        ["nice", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**env, "LC_ALL": "C.UTF-8"},
    )
    try:
        lines = _follow(process, log, report)
        status = process.wait()
    except BaseException:
        child.end(process)
        raise
    if status != 0:
        errors = [line for line in lines if _ERROR.search(line)] or lines
        raise UbError(
            "the kernel does not build:\n" + "\n".join(errors[:_SHOWN]),
            f"full output: {log}; a second call continues",
        )


def _follow(process: subprocess.Popen[str], log: Path, report: Report) -> list[str]:
    """What it says, also written to ``log``; tells of the progress now and then."""
    begun = said = time.monotonic()
    lines, files = [], 0
    assert process.stdout is not None
    with log.open("w") as file:
        for line in process.stdout:
            file.write(line)
            lines.append(line.rstrip("\n"))
            step = _STEP.match(line)
            files += step is not None
            now = time.monotonic()
            if step is not None and now - said > _EACH:
                said = now
                minutes = (now - begun) / 60
                report(f"{files} files, {minutes:.1f} min: {step[1]}")
    return lines
