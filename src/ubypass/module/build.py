# SPDX-License-Identifier: GPL-2.0-only
"""Compile a Kbuild directory against a kernel release, outside its source tree.

Sources are mirrored into the output directory first, so that the source tree stays
clean and several releases can be built side by side. Independent of any particular
module.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ubypass import child
from ubypass.errors import UbError
from ubypass.lab import kernels, roots

__all__ = ["build_module"]

_INSTALLED = "/lib/modules/{release}/build"
_MANIFEST = ".sources"
_LOG = "build.log"
_PRODUCTS = (".o", ".ko", ".mod", ".mod.c", ".cmd", ".order", ".symvers", ".a", ".d")
_ERROR = re.compile(
    r":\d+: (fatal )?error:|error: |: undefined|ERROR: modpost|No rule to make|"
    r": not found|\*\*\* \[.*(?<!Error 1)(?<!Error 2)$|^Error: "
)
_SHOWN_ERRORS = 5


def build_module(
    release: str,
    source_dir: Path,
    out_dir: Path,
    *,
    subdir: str = "",
    suite: str | None = None,
    verbose: bool = False,
    report: Callable[[str], None] | None = None,
) -> Path:
    """Build the module of ``source_dir`` for ``release``; return the ``.ko`` file.

    All of ``source_dir`` is mirrored into ``out_dir``; ``subdir`` names the directory
    with the ``Kbuild`` (or ``Makefile``) to build, for modules that share files with
    their parent directory. The build must produce exactly one ``.ko``. Only changed
    files are compiled again. Headers come from ``/lib/modules/RELEASE/build`` if
    installed, else from the cache (see `ubypass.lab.kernels`). ``suite``: the Debian
    suite of the release, whose compiler and libc are used (see `ubypass.lab.roots`);
    default: the suite that the kernel was fetched from, if any. ``verbose``: show the
    compiler's output on stderr. Raises UbError with the first errors if the build
    fails; the full output is in ``out_dir/build.log``.
    """
    source_dir, out_dir = source_dir.resolve(), out_dir.resolve()
    build_dir = out_dir / subdir
    if not any(
        (source_dir / subdir / name).is_file() for name in ("Kbuild", "Makefile")
    ):
        raise UbError(f"nothing to build in {source_dir / subdir}: no Kbuild file")
    if re.search(r"\s|:", str(out_dir)):
        raise UbError(
            f"cannot build in '{out_dir}'",
            "the kernel's makefiles need a path without spaces and colons",
        )
    if shutil.which("make") is None:
        raise UbError("cannot build the module: make not found", "apt install make")
    headers = _headers(release, suite, report)
    suite = suite or kernels.suite_of(release)
    tools = _Tools()
    if suite is not None:
        headers = headers.resolve()  # symbolic links are broken inside the root
        tools = _tools_of(suite, headers, report)
    out_dir.mkdir(parents=True, exist_ok=True)
    with (out_dir / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _mirror(source_dir, out_dir)
        _make(headers, build_dir, source_dir, out_dir, verbose, tools)
        return _product(build_dir)


@dataclass(frozen=True)
class _Tools:
    """The build tools. ``root``: a root directory with tools; None for the host's.

    ``shared``: directories of the host that the build needs inside of ``root``.
    """

    root: Path | None = None
    shared: tuple[Path, ...] = ()


def _tools_of(
    suite: str, headers: Path, report: Callable[[str], None] | None
) -> _Tools:
    home = headers.parents[2]  # of usr/src/linux-headers-RELEASE
    kbuild = next((home / "usr" / "lib").glob("linux-kbuild-*"), None)
    if kbuild is None:
        raise UbError(f"the headers in {headers} lack the build tools of the kernel")
    compiler = _kernel_compiler(headers)
    return _Tools(roots.fetch_root(suite, compiler, kbuild.name, report), (home,))


def _headers(
    release: str, suite: str | None, report: Callable[[str], None] | None
) -> Path:
    installed = Path(_INSTALLED.format(release=release))
    if suite is None and (installed / "Makefile").is_file():
        return installed
    return kernels.fetch_headers(release, report, suite=suite)


def _sources(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.rglob("*")):
        name = path.name
        # Products of a manual build in the source tree are left out.
        if not name.endswith(_PRODUCTS) and path.is_file():
            yield path.relative_to(directory)


def _mirror(source_dir: Path, out_dir: Path) -> None:
    """Copy the sources to ``out_dir``; unchanged files are not touched."""
    manifest = out_dir / _MANIFEST
    before = set(manifest.read_text().splitlines()) if manifest.exists() else set()
    now = set()
    for relative in _sources(source_dir):
        source, copy = source_dir / relative, out_dir / relative
        if out_dir in source.parents:
            continue
        now.add(str(relative))
        data = source.read_bytes()
        if copy.is_file() and copy.read_bytes() == data:
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        # A new time stamp on purpose: make must notice a return to an older file too.
        copy.write_bytes(data)
    for gone in before - now:
        (out_dir / gone).unlink(missing_ok=True)
    if before - now:
        # The kernel's makefiles treat a removed header as unchanged; only a full
        # compilation shows the files that still include it.
        for product in out_dir.rglob("*.o"):
            product.unlink()
    manifest.write_text("".join(f"{name}\n" for name in sorted(now)))


def _kernel_compiler(headers: Path) -> str:
    """The name of the compiler that the kernel was built with."""
    text = (headers / ".config").read_text(errors="replace")
    found = re.search(r'^CONFIG_CC_VERSION_TEXT="([\w.+-]+)', text, re.MULTILINE)
    return found.group(1).split("x86_64-linux-gnu-")[-1] if found else "gcc"


def _compiler(headers: Path) -> list[str]:
    """Name another compiler only if the one the kernel was built with is missing."""
    if not (headers / ".config").is_file():
        return []
    wanted = _kernel_compiler(headers)
    if shutil.which(wanted):
        return []
    if shutil.which("gcc") is None:
        raise UbError(f"cannot build the module: {wanted} not found", "apt install gcc")
    return ["CC=gcc"]


def _make(
    headers: Path,
    build_dir: Path,
    source_dir: Path,
    out_dir: Path,
    verbose: bool,
    tools: _Tools,
) -> None:
    command = ["make", "-C", str(headers), f"M={build_dir}", f"-j{os.cpu_count()}"]
    # Headers since 6.12 contain the kernel's BTF, and then need pahole for the BTF of
    # modules. This module's BTF is not used.
    command += ["CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"]
    if tools.root is None:
        command += _compiler(headers)
    else:
        command = roots.inside(tools.root, command, [*tools.shared, out_dir])
    # Settings of a calling make would change the kernel's build.
    unwanted = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "ARCH", "CROSS_COMPILE", "KBUILD")
    env = {k: v for k, v in os.environ.items() if not k.startswith(unwanted)}
    done = child.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**env, "LC_ALL": "C.UTF-8"},
    )
    log = out_dir / _LOG
    log.write_text(done.stdout)
    if verbose:
        sys.stderr.write(done.stdout)
    if done.returncode == 0:
        return
    errors = [line for line in done.stdout.splitlines() if _ERROR.search(line)]
    shown = errors[:_SHOWN_ERRORS] or done.stdout.splitlines()[-_SHOWN_ERRORS:]
    lines = [line.replace(f"{out_dir}/", f"{source_dir}/") for line in shown]
    raise UbError(
        "the kernel module does not build:\n" + "\n".join(lines),
        f"full output: {log}",
    )


def _product(build_dir: Path) -> Path:
    # modules.order lists the products of this build; older .ko files may exist.
    order = build_dir / "modules.order"
    names = order.read_text().split() if order.is_file() else []
    # Up to 6.1 full paths of .ko files, later .o files, later still relative ones.
    made = [build_dir / Path(name).with_suffix(".ko") for name in names]
    if len(made) != 1 or not made[0].is_file():
        raise UbError(
            f"expected one module from {build_dir}, got {len(made)}",
            "build each module from a directory of its own",
        )
    return made[0]
