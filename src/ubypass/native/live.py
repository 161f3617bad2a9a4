# SPDX-License-Identifier: GPL-2.0-only
"""Live flags at the exits of a translation, independent of the translator.

The translator's own liveness analysis must not decide which flags a test compares. The
analysis is by instruction over the whole region; code outside may read all flags.
"""

from __future__ import annotations

from iced_x86 import Code, FlowControl, Instruction, Mnemonic, OpKind, RflagsBits

from ubypass.region.graph import End, Region

__all__ = ["ARITHMETIC", "live_flags"]

#: CF PF AF ZF SF OF, as in eflags.
ARITHMETIC = 0x8D5

_BITS = {
    RflagsBits.CF: 0x001,
    RflagsBits.PF: 0x004,
    RflagsBits.AF: 0x010,
    RflagsBits.ZF: 0x040,
    RflagsBits.SF: 0x080,
    RflagsBits.OF: 0x800,
}
# AF is documented as undefined after these, but no CPU keeps the old value.
_LOGIC = {Mnemonic.AND, Mnemonic.OR, Mnemonic.XOR, Mnemonic.TEST}
# With a count of 0 these change no flags.
_BY_COUNT = {
    *(Mnemonic.ROL, Mnemonic.ROR, Mnemonic.RCL, Mnemonic.RCR, Mnemonic.SAL),
    *(Mnemonic.SHL, Mnemonic.SHR, Mnemonic.SAR, Mnemonic.SHLD, Mnemonic.SHRD),
}


def _eflags(bits: int) -> int:
    return sum(place for bit, place in _BITS.items() if bits & bit)


def _needed_before(made: Instruction, after: int) -> int:
    """Flags live before an instruction, from the flags live behind it."""
    if made.code == Code.SYSCALL:
        return ARITHMETIC
    new = _eflags(made.rflags_written | made.rflags_cleared | made.rflags_set)
    if made.mnemonic in _LOGIC:
        new |= 0x010
    if made.mnemonic in _BY_COUNT:
        counts = [made.op_kind(n) for n in range(1, made.op_count)]
        if OpKind.IMMEDIATE8 not in counts:
            new = 0
    if made.is_string_instruction and (made.has_rep_prefix or made.has_repne_prefix):
        new = 0
    return (after & ~new) | _eflags(made.rflags_read)


def live_flags(region: Region) -> dict[int, int]:
    """Live eflags bits by user address."""
    code = {i.ip: i for block in region.blocks.values() for i in block.instructions}
    following = {
        block.last.ip: block.targets
        for block in region.blocks.values()
        if block.end not in (End.RET, End.JUMP_INDIRECT, End.CALL_INDIRECT, End.STOP)
    }
    ends = {block.last.ip for block in region.blocks.values()}
    live = dict.fromkeys(code, 0)
    changed = True
    order = sorted(code, reverse=True)
    while changed:
        changed = False
        for ip in order:
            made = code[ip]
            after = 0
            if ip not in ends:
                after = live.get(made.next_ip, ARITHMETIC)
            elif made.flow_control == FlowControl.NEXT and ip not in following:
                after = ARITHMETIC
            else:
                for target in following.get(ip, (-1,)):
                    after |= live.get(target, ARITHMETIC)
            now = _needed_before(made, after)
            if now != live[ip]:
                live[ip] = now
                changed = True
    return live
