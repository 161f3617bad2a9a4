# SPDX-License-Identifier: GPL-2.0-only
"""Userspace Bypass: run hot user code between system calls inside the kernel."""

from pathlib import Path as _Path

from ubypass import compiled as _compiled

_SOURCE = _Path(__file__).resolve().parents[1]
_compiled.use(_SOURCE, _SOURCE.parent / "build" / "compiled")
