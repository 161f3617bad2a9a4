# SPDX-License-Identifier: GPL-2.0-only
"""Loads the modules ``ub`` and, for the limit, ``ub_bench``.

Builds them first if there are none for the running kernel. Loads only in the lab, whose
kernel is discarded afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ubypass.bench import handler
from ubypass.device.client import DEVICE_PATH
from ubypass.errors import UbError
from ubypass.files import open_regular
from ubypass.module.build import build_module
from ubypass.module.loading import finit_module
from ubypass.places import build_dir, kernel_sources, module_file

__all__ = ["build_bench_module", "ensure_loaded", "in_lab", "require_lab_or_modules"]

_LAB_NAME = "ubypass-lab"  # the guest's host name, set by the lab


def in_lab() -> bool:
    """Whether this runs in the lab's guest."""
    return os.uname().nodename == _LAB_NAME


def require_lab_or_modules(elsewhere: str) -> None:
    """Raise UbError, with a remedy, where measurements are impossible.

    ``elsewhere``: the command that does the same in the lab.
    """
    missing = [p for p in (DEVICE_PATH, handler.DEVICE_PATH) if not Path(p).exists()]
    if missing and not in_lab():
        raise UbError(
            f"cannot measure here: {' and '.join(missing)} missing, and modules are "
            "loaded automatically in the lab only",
            elsewhere,
        )
    if os.geteuid() != 0:
        raise UbError("measuring needs root", "run as root")


def build_bench_module(
    release: str, report: Callable[[str], None] | None = None
) -> Path:
    """The file ``ub_bench.ko`` for the kernel ``release``, built if necessary."""
    out = build_dir() / "kernel-bench" / release
    return _current(out / "bench" / "ub_bench.ko") or build_module(
        release, kernel_sources(), out, subdir="bench", report=report
    )


def ensure_loaded(
    report: Callable[[str], None] | None = None,
    elsewhere: str = "ub lab run --icount -- ub bench io",
) -> None:
    """Load the modules that are missing.

    Raises UbError if that fails, or outside the lab, with the advice to run
    ``elsewhere``.
    """
    require_lab_or_modules(elsewhere)
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
    """The module if it is newer than all sources; running make is slow in the lab."""
    if not module.is_file():
        return None
    sources = (path for path in kernel_sources().rglob("*") if path.is_file())
    newest = max((path.stat().st_mtime_ns for path in sources), default=0)
    return module if module.stat().st_mtime_ns > newest else None


def _insert(module: Path) -> None:
    with open_regular(module) as opened:
        finit_module(opened.fileno())
