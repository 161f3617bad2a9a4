# SPDX-License-Identifier: GPL-2.0-only
"""Translate a region of user code into sandboxed code for the kernel.

Decode, edit, re-encode: an instruction keeps its opcode, width and effect on
flags; only registers and memory operands change. Must not depend on processes,
devices or the verifier. ``docs/abi.md`` is the contract.
"""
