# SPDX-License-Identifier: GPL-2.0-only
"""The features of this machine's processor, as the kernel reports them.

For code that is going to run here. The verifier reads the features independently.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ubypass.errors import UbError

if TYPE_CHECKING:
    from iced_x86._iced_x86_py import Register as IcedRegister

__all__ = [
    "Identity",
    "cpuid",
    "describe",
    "features",
    "hypervisor",
    "identify",
    "is_emulated",
    "is_emulator",
    "microcode",
    "vendor",
]

_CPUINFO = Path("/proc/cpuinfo")

# The first leaf of hypervisors: their signature is in ebx, ecx and edx.
_HYPERVISOR_LEAF = 0x4000_0000

# Signatures of hypervisors that do not execute a guest's instructions directly.
_EMULATORS = (b"TCGTCGTCGTCG", b"FEXIFEXIEMU")

# Prefixes of model names of emulators. QEMU has the first two for KVM too, but then
# KVM's signature is in the hypervisor's leaf.
_EMULATED_NAMES = (
    "QEMU TCG CPU version",
    "QEMU Virtual CPU version",
    "VirtualApple",
    "Box64",
)


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a processor's design; -1 for unknown numbers."""

    vendor: str
    family: int
    model: int


@functools.cache
def features() -> frozenset[str]:
    """Names from ``flags`` of ``/proc/cpuinfo``; none if the file cannot be read."""
    return frozenset(_first().get("flags", "").split())


def vendor() -> str:
    """The vendor by CPUID, ``GenuineIntel`` or ``AuthenticAMD``; "" if unknown."""
    return _first().get("vendor_id", "")


def microcode() -> str:
    """Revision of the microcode, such as ``0x2b000603``; "" if unknown."""
    return _first().get("microcode", "")


def describe() -> str:
    """Name, vendor, family and model, for people and for notes on measurements."""
    first = _first()
    name = " ".join(first.get("model name", "unknown processor").split())
    family, model = first.get("cpu family", "?"), first.get("model", "?")
    return f"{name} ({vendor() or '?'}, family {family}, model {model})"


@functools.cache
def is_emulated() -> bool:
    """Whether this processor is emulated: times of code then mean nothing.

    A hypervisor that runs code on the processor, such as KVM, is no emulator.
    """
    return is_emulator(_first().get("model name", ""), hypervisor())


def is_emulator(name: str, signature: bytes | None) -> bool:
    """Whether name and signature are those of an emulator.

    ``name``: the ``model name`` of ``/proc/cpuinfo``; ``signature``: as from
    :func:`hypervisor`. A signature takes precedence over the name: QEMU's models with
    the name of an Intel or AMD processor may be emulated, and others may run under KVM.
    """
    if signature:
        return signature in _EMULATORS
    return " ".join(name.split()).startswith(_EMULATED_NAMES)


def hypervisor() -> bytes | None:
    """Signature of the hypervisor, without trailing zeros; b"" without a hypervisor or
    signature; None if this process may not run code of its own.
    """
    if "hypervisor" not in features():
        return b""
    try:
        _, ebx, ecx, edx = cpuid(_HYPERVISOR_LEAF)
    except UbError:
        return None
    return b"".join(word.to_bytes(4, "little") for word in (ebx, ecx, edx)).rstrip(
        b"\0"
    )


def cpuid(leaf: int, subleaf: int = 0) -> tuple[int, int, int, int]:
    """The result of CPUID in eax, ebx, ecx and edx.

    Raises UbError if this process may not run code of its own.
    """
    from ubypass.executable import Executable

    answers = (ctypes.c_uint32 * 4)()
    with Executable(_cpuid_code()) as code:
        ask = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p)
        ask(code.address)(leaf, subleaf, ctypes.addressof(answers))
    eax, ebx, ecx, edx = answers
    return eax, ebx, ecx, edx


def _cpuid_code() -> bytes:
    """void f(uint32_t leaf, uint32_t subleaf, uint32_t answers[4])"""
    from iced_x86 import Code, Encoder, Instruction, MemoryOperand, Register

    def answer(number: int, register: IcedRegister) -> Instruction:
        place = MemoryOperand(base=Register.R8, displ=4 * number, displ_size=1)
        return Instruction.create_mem_reg(Code.MOV_RM32_R32, place, register)

    encoder = Encoder(64)
    for instruction in (
        Instruction.create_reg(Code.PUSH_R64, Register.RBX),  # the caller's
        Instruction.create_reg_reg(Code.MOV_R64_RM64, Register.R8, Register.RDX),
        Instruction.create_reg_reg(Code.MOV_R32_RM32, Register.EAX, Register.EDI),
        Instruction.create_reg_reg(Code.MOV_R32_RM32, Register.ECX, Register.ESI),
        Instruction.create(Code.CPUID),
        answer(0, Register.EAX),
        answer(1, Register.EBX),
        answer(2, Register.ECX),
        answer(3, Register.EDX),
        Instruction.create_reg(Code.POP_R64, Register.RBX),
        Instruction.create(Code.RETNQ),
    ):
        encoder.encode(instruction, 0)
    code: bytes = encoder.take_buffer()
    return code


def identify() -> Identity:
    """Vendor, family and model of this machine's first processor."""
    first = _first()
    family, model = (
        int(text) if text.isdecimal() else -1
        for text in (first.get("cpu family", ""), first.get("model", ""))
    )
    return Identity(vendor(), family, model)


def _first() -> dict[str, str]:
    """The fields of the first processor in ``/proc/cpuinfo``."""
    try:
        text = _CPUINFO.read_text("ascii", "replace")
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            break
        name, _, value = line.partition(":")
        found[name.strip()] = value.strip()
    return found
