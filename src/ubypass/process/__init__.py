# SPDX-License-Identifier: GPL-2.0-only
"""What a live program looks like from outside: mappings, memory, symbols.

Reads ``/proc`` and ELF files and nothing else. Knows nothing of regions,
translations or the kernel module.
"""
