# SPDX-License-Identifier: GPL-2.0-only
"""A listing of a translation: each user instruction next to its generated code."""

from __future__ import annotations

from dataclasses import dataclass

from iced_x86 import Decoder, Formatter, FormatterSyntax, Instruction, Register

from ubypass.abi import (
    FRAME_BUDGET,
    FRAME_EXIT,
    FRAME_FIP,
    FRAME_FLAGS,
    FRAME_FSBASE,
    FRAME_LIMIT,
    FRAME_REGS,
    FRAME_SYSFLAGS,
    FRAME_TARGET,
    REGS_OFFSET,
    Translation,
)
from ubypass.region.graph import Region
from ubypass.translate.invariant import require

__all__ = ["ListingLine", "listing"]

_SLOTS = {
    FRAME_EXIT: "exit",
    FRAME_BUDGET: "budget",
    FRAME_LIMIT: "limit",
    FRAME_FLAGS: "flags",
    FRAME_SYSFLAGS: "sysflags",
    FRAME_TARGET: "target",
    FRAME_FSBASE: "fsbase",
    FRAME_FIP: "fip",
    FRAME_FIP + 4: "fip+4",
    **{FRAME_REGS + at: f"user.{name}" for name, at in REGS_OFFSET.items()},
}


@dataclass(frozen=True)
class ListingLine:
    """One line: a user instruction, and the code that replaces it.

    ``user_ip`` and ``user`` are given on the first line of a user instruction,
    else None and empty. ``offset`` is the place in the translation, or -1 when
    there is no code on this line; ``note`` explains (entry, exit, fault).
    """

    user_ip: int | None
    user: str
    offset: int
    code: str
    note: str = ""


def listing(region: Region, translation: Translation) -> list[ListingLine]:
    """The whole translation in the order of its code."""
    formatter = _formatter()
    user = {
        instruction.ip: formatter.format(instruction)
        for block in region.blocks.values()
        for instruction in block.instructions
    }
    marks: dict[int, list[int]] = {}
    for at, ip in translation.user_ips:
        found = marks.setdefault(at, [])
        if not found or found[-1] != ip:
            found.append(ip)
    notes = _notes(translation)
    lines: list[ListingLine] = []
    current = -1
    for at, size, text in _disassembled(translation, formatter):
        shown = [ip for ip in marks.get(at, ()) if ip != current]
        for ip in shown[:-1]:
            lines.append(ListingLine(ip, user.get(ip, ""), -1, ""))
        ip_here = shown[-1] if shown else None
        if ip_here is not None:
            current = ip_here
        lines.append(
            ListingLine(
                ip_here,
                user.get(ip_here, "") if ip_here is not None else "",
                at,
                text,
                notes.get(at, ""),
            )
        )
        require(size > 0, "an instruction without bytes")
    return lines


def _formatter() -> Formatter:
    formatter = Formatter(FormatterSyntax.INTEL)
    formatter.hex_prefix = "0x"
    formatter.hex_suffix = ""
    formatter.uppercase_hex = False
    formatter.branch_leading_zeros = False
    formatter.show_branch_size = False
    formatter.small_hex_numbers_in_decimal = False
    formatter.first_operand_char_index = 0
    return formatter


def _notes(translation: Translation) -> dict[int, str]:
    notes: dict[int, list[str]] = {}

    def note(at: int, text: str) -> None:
        notes.setdefault(at, []).append(text)

    places: dict[tuple[int, int], list[int]] = {}
    for entry in translation.entries:
        places.setdefault((entry.code_offset, entry.user_ip), []).append(entry.nr)
    for (at, ip), calls in places.items():
        behind = f" behind calls {', '.join(map(str, calls))}" if len(calls) > 1 else ""
        note(at, f"entry {ip:#x}{behind}")
    for fault in translation.faults:
        note(fault.code_offset, f"fault -> {fault.fixup_offset:x}")
    for dispatch in translation.dispatches:
        note(
            dispatch.code_offset,
            f"work -> {dispatch.pre_offset:x}, leave -> {dispatch.post_offset:x}",
        )
    return {at: ", ".join(texts) for at, texts in notes.items()}


def _disassembled(
    translation: Translation, formatter: Formatter
) -> list[tuple[int, int, str]]:
    """Offset, length and text of every instruction, dispatch and constant."""
    code = translation.code
    dispatches = {d.code_offset: d for d in translation.dispatches}
    ends = sorted(dispatches)
    found: list[tuple[int, int, str]] = []
    at = 0
    while at < translation.constants:
        if at in dispatches:
            size = _run_of_int3(code, at, translation.constants, ends)
            found.append((at, size, f"<dispatch of call {dispatches[at].nr}>"))
        elif code[at] == 0xCC:
            size = translation.constants - at
            found.append((at, size, "<padding>"))
        else:
            decoder = Decoder(64, code[at : at + 15], ip=at)
            instruction = decoder.decode()
            size = instruction.len
            text = _named(instruction, formatter)
            number = _exit_number(instruction, code, at)
            if number is not None:
                leave = translation.exits[number]
                text = f"exit {number}: {leave.reason.name} at {leave.user_ip:#x}" + (
                    f" [{leave.flags.name}]" if leave.flags else ""
                )
            elif at + 1 in translation.jumps:
                text = "jmp <leave>"
            found.append((at, size, text))
        at += size
    while at < len(code):
        value = int.from_bytes(code[at : at + 8], "little")
        found.append((at, 8, f".quad {value:#x}"))
        at += 8
    return found


def _run_of_int3(code: bytes, at: int, stop: int, starts: list[int]) -> int:
    end = at
    while end < stop and code[end] == 0xCC and (end == at or end not in starts):
        end += 1
    return end - at


def _exit_number(instruction: Instruction, code: bytes, at: int) -> int | None:
    # mov dword [rsp], imm32: nothing else writes this slot.
    if code[at : at + 3] != b"\xc7\x04\x24":
        return None
    return int(instruction.immediate(1))


def _named(instruction: Instruction, formatter: Formatter) -> str:
    """The text with the name of the frame slot that it accesses."""
    text = str(formatter.format(instruction))
    if instruction.memory_base != Register.RSP:
        return text
    offset = instruction.memory_displacement
    name = _SLOTS.get(offset)
    if name is None:
        return text
    spelled = f"[rsp+{offset:#x}]" if offset else "[rsp]"
    return text.replace(spelled, f"[{name}]")
