# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import random
from collections import Counter

from iced_x86 import Code, OpKind, Register

from tests.fuzz.forms import all_forms
from tests.fuzz.operands import Places, Unsuitable, instance, is_control

_PLACES = Places(0x5000_0000, 8192)


def test_every_form_has_instances() -> None:
    rng = random.Random(1)
    without = []
    for name in all_forms():
        code = getattr(Code, name)
        if is_control(code):
            continue
        try:
            made = instance(code, rng, _PLACES, 0x4000_0000)
        except Unsuitable:
            without.append(name)
        else:
            assert made.code == code
    assert without == []


def test_all_shapes_of_addresses() -> None:
    rng = random.Random(2)
    shapes: Counter[str] = Counter()
    for _ in range(600):
        made = instance(Code.ADD_RM64_R64, rng, _PLACES, 0x4000_0000)
        if made.op0_kind != OpKind.MEMORY:
            shapes["register"] += 1
            continue
        shapes["memory"] += 1
        shapes["lock"] += made.has_lock_prefix
        shapes["rip"] += made.is_ip_rel_memory_operand
        shapes["fs"] += made.segment_prefix == Register.FS
        shapes["gs"] += made.segment_prefix == Register.GS
        shapes["scale"] += made.memory_index_scale == 8
        shapes["narrow"] += Register.EAX <= made.memory_base <= Register.R15D
        shapes["spilled"] += made.memory_base in (Register.R10, Register.R11)
        shapes["stack"] += made.memory_base == Register.RSP
        shapes["absolute"] += made.memory_base == made.memory_index == Register.NONE
    assert all(count > 3 for count in shapes.values()), shapes


def test_high_bytes_and_spilled_registers_occur() -> None:
    rng = random.Random(3)
    seen = {
        instance(Code.MOV_R8_IMM8, rng, _PLACES, 0).op0_register for _ in range(300)
    }
    assert {Register.AH, Register.BH, Register.R10L, Register.SPL} <= seen
