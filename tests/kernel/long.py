# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: segments that are longer than the module lets them be.

A translation by hand of the loop of ``long.c``, with a budget that no gap uses up.
Prints a line of JSON: what the program said, and the module's counters.
"""

from __future__ import annotations

import json
import sys

from tests.kernel.handmade import assemble, slot, started
from ubypass.abi import (
    BUDGET_MAX,
    FRAME_BUDGET,
    FRAME_SYSFLAGS,
    Abi,
    Dispatch,
    Entry,
    Exit,
    ExitFlag,
    ExitReason,
    Source,
    Translation,
)
from ubypass.device.client import Device
from ubypass.device.uapi import Tunable

#: Turns of the inner loop, as in long.c.
TURNS = 400_000
_CODE = bytes.fromhex("b9801a0600 48ffc2 ffc9 75f9 48ffcb")
_INNER = 5  # offset of the inner loop


def _translation(resume: int, code: bytes, abi: Abi) -> Translation:
    """The loop of long.c; ``code`` is what stands from ``resume`` to its end."""
    text = f"""
entry:  mov rax, [rsp+{slot("rax")}]
        mov rbx, [rsp+{slot("rbx")}]
        mov rdx, [rsp+{slot("rdx")}]
again:  mov ecx, {TURNS}
inner:  sub dword ptr [rsp+{FRAME_BUDGET}], 1
        js  budget
        inc rdx
        dec ecx
        jnz inner
        dec rbx
        jz  done
        mov eax, 110
        pushfq
        pop [rsp+{FRAME_SYSFLAGS}]
        mov [rsp+{slot("rdx")}], rdx
site:   .fill {abi.dispatch_size}, 1, 0xcc
        mov rdx, [rsp+{slot("rdx")}]
        jmp again
done:   mov dword ptr [rsp], 0
        jmp tail
budget: mov dword ptr [rsp], 1
        jmp tail
pre:    mov dword ptr [rsp], 2
        jmp tail
post:   mov dword ptr [rsp], 3
        mov rdx, [rsp+{slot("rdx")}]
tail:   mov [rsp+{slot("rax")}], rax
        mov [rsp+{slot("rbx")}], rbx
        mov [rsp+{slot("rcx")}], rcx
        mov [rsp+{slot("rdx")}], rdx
        .byte 0xe9
leave:  .long 0
"""
    binary, at = assemble(text)
    r11, flags = ExitFlag.R11_SYS, ExitFlag.SLOT_SYSFLAGS | ExitFlag.R11_SYS
    after = flags | ExitFlag.CX_SYS | ExitFlag.DISPATCHED
    return Translation(
        code=binary,
        entries=(Entry(resume, at["entry"], 110),),
        exits=(
            Exit(resume + len(code), ExitReason.FRONTIER, r11, resume),
            Exit(resume + _INNER, ExitReason.BUDGET, r11, resume),
            Exit(resume - 2, ExitReason.WORK, flags, resume),
            Exit(resume, ExitReason.DISPATCHED, after, resume),
        ),
        faults=(),
        dispatches=(Dispatch(at["site"], 110, at["pre"], at["post"], resume),),
        jumps=(at["leave"],),
        sources=(Source(resume, code),),
        constants=len(binary),
    )


def main(program: str, count: str) -> int:
    with Device() as device:
        device.tune(Tunable.BUDGET, BUDGET_MAX)
        child, resume, code = started(program, count, len(_CODE) + 2)
        assert code[: len(_CODE)] == _CODE, code.hex()
        proc = device.attach(child.pid)
        device.load(proc, _translation(resume, code, device.info()))
        said, _ = child.communicate("\n")
        stats = device.stats(proc)
    ended = stats.exits[ExitReason.BUDGET]
    result = {"status": child.returncode, "said": said, "runs": stats.runs}
    result |= {"ended": ended, "dispatched": stats.dispatched}
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
