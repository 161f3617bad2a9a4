# SPDX-License-Identifier: GPL-2.0-only
"""Python's structures are those of the header."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

from ubypass.native import build, types

_STRUCTURES = {
    "ub_cpu": types.Cpu,
    "ub_register_kind": types.RegisterKind,
    "ub_area": types.Area,
    "ub_exit": types.Exit,
    "ub_fault": types.Fault,
    "ub_dispatch": types.Dispatch,
    "ub_entry": types.Entry,
    "ub_job": types.Job,
    "ub_failure": types.Failure,
    "ub_result": types.Result,
    "ub_call": types.Call,
    "ub_single": types.Single,
}


def test_same_layout(tmp_path: Path) -> None:
    lines = ['#include "timing.c"', '#include "single.c"']
    for name, structure in _STRUCTURES.items():
        size = ctypes.sizeof(structure)
        lines.append(f'_Static_assert(sizeof(struct {name}) == {size}, "{name}");')
        for field, *_ in structure._fields_:
            at = getattr(structure, field).offset
            lines.append(
                f"_Static_assert(offsetof(struct {name}, {field}) == {at}, "
                f'"{name}.{field}");'
            )
    source = tmp_path / "check.c"
    source.write_text("\n".join(lines) + "\n")
    folder = Path(build.__file__).parent
    subprocess.run(
        ["gcc", "-fsyntax-only", "-mgeneral-regs-only", f"-I{folder}", str(source)],
        check=True,
    )
    assert len(lines) > 80
