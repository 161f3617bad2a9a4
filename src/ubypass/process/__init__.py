# SPDX-License-Identifier: GPL-2.0-only
"""Live programs from outside: mappings, memory, symbols, threads and events.

Depends on ``/proc``, ELF files and the kernel's tracing interfaces only; independent of
regions, translations and the kernel module.
"""
