# SPDX-License-Identifier: GPL-2.0-only
"""Turn a region of user code into code that may run in the kernel.

Decode, edit, re-encode: an instruction keeps its opcode, width and effect on
flags; only registers and memory operands change. Knows nothing of processes,
devices or the verifier. ``docs/abi.md`` is the contract.
"""
