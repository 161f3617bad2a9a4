# SPDX-License-Identifier: GPL-2.0-only
"""Run in the lab: a translation written by hand, against the module alone.

Shows that hook, entry, dispatch, exit and the precise state hold without the
translator. Prints one line with what the program said and the counters.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from ubypass.abi import (
    ENDBR64,
    FRAME_REGS,
    FRAME_SYSFLAGS,
    REGS_OFFSET,
    Abi,
    Dispatch,
    Entry,
    Exit,
    ExitFlag,
    ExitReason,
    Source,
    Translation,
)
from ubypass.device.client import Device, Gone
from ubypass.errors import UbError

_KERNEL = 0xFFFF_8000_0000_0000
_LOOK = 0.001  # seconds


def assemble(text: str) -> tuple[bytes, dict[str, int]]:
    """Code bytes and label offsets of Intel-syntax assembly."""
    with tempfile.TemporaryDirectory() as folder:
        o, b = Path(folder, "a.o"), Path(folder, "a.bin")
        source = ".intel_syntax noprefix\n" + text
        subprocess.run(["as", "-o", o, "-"], input=source.encode(), check=True)
        subprocess.run(["objcopy", "-O", "binary", "-j", ".text", o, b], check=True)
        names = subprocess.run(["nm", o], capture_output=True, text=True, check=True)
        labels = {}
        for line in names.stdout.splitlines():
            value, _, name = line.split()
            labels[name] = int(value, 16)
        return b.read_bytes(), labels


def slot(register: str) -> int:
    return FRAME_REGS + REGS_OFFSET[register]


def translation(resume: int, code: bytes, abi: Abi) -> Translation:
    """The loop of loop.c; ``code`` is what stands from ``resume`` to its end."""
    text = f"""
entry:  mov rax, [rsp+{slot("rax")}]
        mov rbx, [rsp+{slot("rbx")}]
        mov rbp, [rsp+{slot("rbp")}]
again:  add rbp, rax
        dec rbx
        jz  done
        mov eax, 110
        pushfq
        pop [rsp+{FRAME_SYSFLAGS}]
site:   .fill {abi.dispatch_size}, 1, 0xcc
        jmp again
done:   mov dword ptr [rsp], 0
        jmp tail
pre:    mov dword ptr [rsp], 1
        jmp tail
post:   mov dword ptr [rsp], 2
tail:   mov [rsp+{slot("rax")}], rax
        mov [rsp+{slot("rbx")}], rbx
        mov [rsp+{slot("rbp")}], rbp
        .byte 0xe9
leave:  .long 0
"""
    binary, at = assemble(text)
    system = ExitFlag.CX_SYS | ExitFlag.R11_SYS
    flags = ExitFlag.SLOT_SYSFLAGS | system
    return Translation(
        code=binary,
        entries=(Entry(resume, at["entry"], 110),),
        exits=(
            Exit(resume + len(code), ExitReason.FRONTIER, system, resume),
            Exit(resume - 2, ExitReason.WORK, flags, resume),
            Exit(
                resume,
                ExitReason.DISPATCHED,
                flags | ExitFlag.DISPATCHED,
                resume,
            ),
        ),
        faults=(),
        dispatches=(Dispatch(at["site"], 110, at["pre"], at["post"], resume),),
        jumps=(at["leave"],),
        sources=(Source(resume, code),),
        constants=len(binary),
    )


def _bad(made: Translation) -> list[Translation]:
    """Exits with an address of the kernel that the program would see, in rip or rcx;
    code without clamps for a program that is not trusted; a place where indirect
    branches of the kernel could end.
    """
    number = (110).to_bytes(4, "little")
    assert made.code.count(number) == 1
    bad = [replace(made, trusted=True)]
    bad.append(replace(made, code=made.code.replace(number, ENDBR64)))
    for ip, cx in (_KERNEL, made.exits[0].cx), (made.exits[0].user_ip, _KERNEL):
        first = Exit(ip, made.exits[0].reason, made.exits[0].flags, cx)
        bad.append(replace(made, exits=(first, *made.exits[1:])))
    return bad


def started(
    program: str, count: str, size: int
) -> tuple[subprocess.Popen[str], int, bytes]:
    """A program that prints where its call resumes, and waits for a line: the process,
    that address, and ``size`` bytes of code there.
    """
    child = subprocess.Popen(
        [program, count], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    resume = int(child.stdout.readline(), 16)
    with open(f"/proc/{child.pid}/mem", "rb") as memory:
        memory.seek(resume)
        return child, resume, memory.read(size)


def is_refused(device: Device, proc: int, what: Translation) -> bool:
    """Whether the module refuses to load it."""
    try:
        device.load(proc, what)
    except UbError:
        return True
    return False


def _lists(device: Device, proc: int) -> list[set[int]]:
    """The regions that the module lists until the process has ended, as they change."""
    found: list[set[int]] = []
    with contextlib.suppress(Gone):
        while True:
            now = device.regions(proc)
            if now not in found[-1:]:
                found.append(now)
            # The process waits for other processors while its regions end.
            time.sleep(_LOOK)
    return found


def main(program: str, count: str) -> int:
    with Device() as device:
        child, resume, code = started(program, count, 8)
        assert child.stdout
        assert child.stdin
        assert code[:3] == bytes.fromhex("4801c5"), code.hex()
        proc = device.attach(child.pid)
        made = translation(resume, code, device.info())
        refused = sum(is_refused(device, proc, bad) for bad in _bad(made))
        region = device.load(proc, made)
        start = time.monotonic()
        child.stdin.write("\n")
        child.stdin.flush()
        listed = _lists(device, proc) == [{region}]
        said = child.stdout.read().strip()
        status = child.wait()
        stats = device.stats(proc)
        print(
            f"status {status}; {said}; dispatched {stats.dispatched} "
            f"native {stats.native} runs {stats.runs} declined {stats.declined} "
            f"refused {refused} region {region} listed {listed} "
            f"seconds {time.monotonic() - start:.6f}"
        )
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
