# SPDX-License-Identifier: GPL-2.0-only
"""The Python mirrors agree with the header, as the C compiler sees it."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ubypass import abi
from ubypass.device import uapi

_KERNEL = Path(__file__).parents[2] / "kernel"
_HEADER = _KERNEL / "include" / "uapi" / "ub.h"
_CALLS = _KERNEL / "include" / "uapi" / "ub_syscalls.h"

_STRUCTURES: dict[str, type[ctypes.Structure]] = {
    re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): getattr(uapi, name)
    for name in uapi.__all__
    if name.startswith("Ub")
}


def _python_values() -> dict[str, int]:
    values = {
        "UB_ABI_VERSION": abi.ABI_VERSION,
        "UB_SYSCALL_NONE": abi.SYSCALL_NONE,
        "UB_BUDGET_MAX": abi.BUDGET_MAX,
        "UB_EVENT_STACK": uapi.EVENT_STACK,
        "UB_TUNEF_SET": uapi.TUNEF_SET,
        "UB_ATTACHF_CHILDREN": uapi.ATTACHF_CHILDREN,
        "UB_ATTACHF_TRUSTED": uapi.ATTACHF_TRUSTED,
        "UB_ATTACHF_ALL": uapi.ATTACHF_CHILDREN | uapi.ATTACHF_TRUSTED,
        "UB_EXIT_REASONS": len(abi.ExitReason),
        "UB_TUNABLES": len(uapi.Tunable),
        "UB_SITES_MAX": uapi.SITES_MAX,
        "UB_PATH_MAX": uapi.PATH_MAX,
        "UB_PATH_MISS": uapi.PATH_MISS,
        "UB_SITE_VERDICTS": len(uapi.SiteVerdict),
        "UB_DECLINES": len(uapi.Decline),
        "UB_DECLINE_LASTING": uapi.DECLINE_LASTING,
        "UB_DECLINE_SLOTS": uapi.DECLINE_SLOTS,
        "UB_STATSF_GONE": uapi.STATSF_GONE,
        "UB_STATSF_TRUSTED": uapi.STATSF_TRUSTED,
        "UB_STATSF_RESTING": uapi.STATSF_RESTING,
        "UB_TRIALF_CONFIRM": uapi.TRIALF_CONFIRM,
        "UB_TRIALF_TIMED": uapi.TRIALF_TIMED,
        "UB_TRIALF_ALL": uapi.TRIALF_CONFIRM | uapi.TRIALF_TIMED,
        "UB_TRIAL_STATES": len(uapi.TrialState),
        "UB_TRIAL_SLICE_NS": uapi.TRIAL_SLICE_NS,
        "UB_TRIAL_GRANT_MAX": uapi.TRIAL_GRANT_MAX,
        "UB_TRIAL_LEASE_MIN": uapi.TRIAL_LEASE_MIN,
        "UB_TRIAL_LEASE_MAX": uapi.TRIAL_LEASE_MAX,
        "UB_TRIAL_TRIFLE_NS": uapi.TRIAL_TRIFLE_NS,
        "UB_TRIAL_STRIKES": uapi.TRIAL_STRIKES,
        "UB_EXITF_ALL": sum(flag for flag in abi.ExitFlag),
        "UB_REP_MAX": abi.REP_MAX,
        "UB_LOADF_VECTOR": abi.LOADF_VECTOR,
        "UB_LOADF_X87": abi.LOADF_X87,
        "UB_LOADF_TRUSTED": abi.LOADF_TRUSTED,
        "UB_LOADF_ALL": abi.LOADF_VECTOR | abi.LOADF_X87 | abi.LOADF_TRUSTED,
        "UB_INFOF_X87": abi.INFOF_X87,
        "UB_INFOF_SECCOMP": abi.INFOF_SECCOMP,
        "UB_INFOF_FRED": abi.INFOF_FRED,
    }
    values |= {f"UB_{n}": getattr(abi, n) for n in vars(abi) if n.startswith("FRAME_")}
    values |= {f"UB_EXIT_{reason.name}": int(reason) for reason in abi.ExitReason}
    values |= {f"UB_EXITF_{flag.name}": int(flag) for flag in abi.ExitFlag}
    values |= {f"UB_EVENT_{kind.name}": int(kind) for kind in uapi.EventType}
    values |= {f"UB_DECLINE_{reason.name}": int(reason) for reason in uapi.Decline}
    values |= {f"UB_SITE_{verdict.name}": int(verdict) for verdict in uapi.SiteVerdict}
    values |= {f"UB_TRIAL_{state.name}": int(state) for state in uapi.TrialState}
    values |= {f"UB_TUNE_{what.name}": int(what) for what in uapi.Tunable}
    values |= {f"UB_{n}": getattr(uapi, n) for n in uapi.__all__ if n[:4] == "IOC_"}
    return values


def _header_names(text: str) -> set[str]:
    names = set(re.findall(r"#define\s+(UB_\w+)", text))
    for body in re.findall(r"enum \w+ \{(.*?)\};", text, re.S):
        names |= set(re.findall(r"\b(UB_\w+)\s*=", body))
    return names


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    names = sorted(_header_names(_HEADER.read_text()))
    lines = [f'printf("{name} %llu\\n", (unsigned long long){name});' for name in names]
    for name, structure in _STRUCTURES.items():
        lines.append(f'printf("{name} %zu\\n", sizeof(struct {name}));')
        for field in structure._fields_:
            path = f"{name}.{field[0]}"
            place = f"offsetof(struct {name}, {field[0]})"
            size = f"sizeof(((struct {name} *)0)->{field[0]})"
            lines.append(f'printf("{path} %zu\\n{path}# %zu\\n", {place}, {size});')
    folder = tmp_path_factory.mktemp("uapi")
    source = folder / "print.c"
    source.write_text(
        "#include <stdio.h>\n#include <stddef.h>\n#include <sys/ioctl.h>\n"
        '#include "ub.h"\nint main(void) {\n' + "\n".join(lines) + "\nreturn 0; }\n"
    )
    subprocess.run(
        ["gcc", f"-I{_HEADER.parent}", "-o", folder / "print", source], check=True
    )
    output = subprocess.run(
        [folder / "print"], check=True, capture_output=True, text=True
    ).stdout
    return {name: int(value) for name, value in map(str.split, output.splitlines())}


def test_every_constant_is_mirrored_with_its_value(compiled: dict[str, int]) -> None:
    constants = {
        name: value
        for name, value in compiled.items()
        if name.startswith("UB_") and not _is_private(name, value)
    }
    assert _python_values() == constants


def _is_private(name: str, value: int) -> bool:
    """Part of the frame that generated code must not know."""
    if name == "UB_FRAME_PRIVATE":
        return False
    return name.startswith("UB_FRAME_") and abi.FRAME_PRIVATE <= value < abi.FRAME_REGS


@pytest.mark.parametrize("bits", [11, 12])
def test_no_frame_slot_aliases_a_register_slot(
    bits: int, compiled: dict[str, int]
) -> None:
    """Processors predict store forwarding by the low address bits: a load that shares
    them with an earlier store waits for it (docs/abi.md, section 1).
    """
    size = 1 << bits
    offsets = [
        value
        for name, value in compiled.items()
        if name.startswith("UB_FRAME_") and value < abi.FRAME_REGS
    ]
    assert len(offsets) > 12
    frame = {byte % size for at in offsets for byte in range(at, at + 8)}
    registers = {
        (abi.FRAME_REGS + at + byte) % size
        for at in abi.REGS_OFFSET.values()
        for byte in range(8)
    }
    assert not frame & registers


def test_every_structure_is_mirrored() -> None:
    declared = set(re.findall(r"^struct (\w+) \{", _HEADER.read_text(), re.M))
    assert declared == set(_STRUCTURES)


@pytest.mark.parametrize("name", sorted(_STRUCTURES))
def test_structures_have_the_same_layout(name: str, compiled: dict[str, int]) -> None:
    structure = _STRUCTURES[name]
    assert ctypes.sizeof(structure) == compiled[name]
    end = 0
    for field in structure._fields_:
        place = getattr(structure, field[0])
        assert (place.offset, place.size) == (
            compiled[f"{name}.{field[0]}"],
            compiled[f"{name}.{field[0]}#"],
        )
        assert place.offset == end, f"hole before {name}.{field[0]}"
        end = place.offset + place.size
    assert end == compiled[name], f"hole at the end of {name}"


def test_the_header_lists_the_same_system_calls() -> None:
    rows = re.findall(
        r"^\s*\w+\(\s*(\d+),\s*(\w+),\s*(\d+)\s*\)", _CALLS.read_text(), re.M
    )
    assert {int(nr): int(args) for nr, _, args in rows} == abi.SYSCALL_ARGS
