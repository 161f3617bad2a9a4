# SPDX-License-Identifier: GPL-2.0-only
"""Processor features that an instruction needs, by the kernel's names.

Programs contain variants of hot code for several processors. Variants for another
processor must not be translated: in kernel mode an invalid opcode would not be a fault
of the user's.
"""

from __future__ import annotations

import functools

from iced_x86 import Code, CpuidFeature, Instruction

from ubypass.translate.iced import IcedCode

__all__ = ["needs"]

_FEATURES = {v: n for n, v in vars(CpuidFeature).items() if n.isupper()}

#: Every processor in 64-bit mode has these.
_EVERYWHERE = frozenset(
    {
        *("INTEL8086", "INTEL186", "INTEL286", "INTEL386", "INTEL486", "X64"),
        *("CMOV", "CX8", "FPU", "FPU287", "FPU387", "FXSR", "MMX", "MULTIBYTENOP"),
        *("PAUSE", "SSE", "SSE2", "SYSCALL", "TSC", "CET_IBT", "CPUID"),
    }
)
#: Features that the kernel spells differently (arch/x86/include/asm/cpufeatures.h).
_NAMES = {
    "SSE3": "pni",
    "LZCNT": "abm",
    "SHA": "sha_ni",
    "CMPXCHG16B": "cx16",
    "PREFETCHW": "3dnowprefetch",
    "AVX512_IFMA": "avx512ifma",
    "AVX512_VBMI": "avx512vbmi",
    "SSE4A": "sse4a",
}
#: Missing in 64-bit mode on the first processors; iced has no name for it.
_LAHF = (Code.LAHF, Code.SAHF)


@functools.cache
def needs(code: IcedCode) -> frozenset[str]:
    """The names in ``/proc/cpuinfo`` that the form ``code`` needs."""
    instruction = Instruction()
    instruction.code = code
    found = {_FEATURES[feature] for feature in instruction.cpuid_features()}
    names = {_NAMES.get(name, name.lower()) for name in found - _EVERYWHERE}
    if code in _LAHF:
        names.add("lahf_lm")
    return frozenset(names)
