# SPDX-License-Identifier: GPL-2.0-only
"""The programs of ``packaging/`` as modules: that directory is no package."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from tests.places import ROOT

__all__ = ["program"]


def program(name: str) -> ModuleType:
    """``packaging/NAME.py``, imported."""
    path = ROOT / "packaging" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"ubypass_packaging_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
