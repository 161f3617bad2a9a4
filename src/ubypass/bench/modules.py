# SPDX-License-Identifier: GPL-2.0-only
"""Have both modules loaded: ``ub`` and, for the limit, ``ub_bench``.

Builds them first if they are not there for the running kernel. Loading is meant for
the lab, whose kernel is thrown away afterwards.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from ubypass.bench import handler
from ubypass.device.client import DEVICE_PATH
from ubypass.errors import UbError
from ubypass.module.build import build_module
from ubypass.places import build_dir, kernel_sources, module_file

__all__ = ["build_bench_module", "ensure_loaded", "require_lab_or_modules"]

_LAB_NAME = "ubypass-lab"  # the guest's host name, set by the lab


def require_lab_or_modules(in_lab: str) -> None:
    """Refuse, with the way out, where measuring cannot work.

    ``in_lab`` is the command that does in the lab what was asked for.
    """
    missing = [p for p in (DEVICE_PATH, handler.DEVICE_PATH) if not Path(p).exists()]
    if missing and os.uname().nodename != _LAB_NAME:
        raise UbError(
            f"cannot measure here: {' and '.join(missing)} missing, and modules are "
            "only loaded into the lab's kernel",
            in_lab,
        )
    if os.geteuid() != 0:
        raise UbError("measuring needs root", "run as root")


def build_bench_module(
    release: str, report: Callable[[str], None] | None = None
) -> Path:
    """The file ``ub_bench.ko`` for the kernel ``release``, built if need be."""
    out = build_dir() / "kernel-bench" / release
    return _current(out / "bench" / "ub_bench.ko") or build_module(
        release, kernel_sources(), out, subdir="bench", report=report
    )


def ensure_loaded(
    report: Callable[[str], None] | None = None,
    in_lab: str = "ub lab run --icount -- ub bench io",
) -> None:
    """Load what is missing. Raises UbError if that fails, or if this is not the lab:
    then ``in_lab`` is the command to advise.
    """
    require_lab_or_modules(in_lab)
    release = os.uname().release
    if not Path(DEVICE_PATH).exists():
        file = module_file(release)
        _insert(
            _current(file)
            or build_module(release, kernel_sources(), file.parent, report=report)
        )
    if not Path(handler.DEVICE_PATH).exists():
        _insert(build_bench_module(release, report))


def _current(module: Path) -> Path | None:
    """The module if it is newer than all sources: asking make is slow in the lab."""
    if not module.is_file():
        return None
    sources = (path for path in kernel_sources().rglob("*") if path.is_file())
    newest = max((path.stat().st_mtime_ns for path in sources), default=0)
    return module if module.stat().st_mtime_ns > newest else None


def _insert(module: Path) -> None:
    done = subprocess.run(["insmod", str(module)], capture_output=True, text=True)
    if done.returncode != 0:
        raise UbError(
            f"cannot load {module.name}: {done.stderr.strip()}",
            "dmesg says more",
        )
