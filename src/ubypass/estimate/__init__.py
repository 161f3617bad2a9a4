# SPDX-License-Identifier: GPL-2.0-only
"""What boosting a running program would save, found out without the kernel module.

Short bursts of tracepoints tell which system calls follow one another, a few gaps
that are single-stepped what runs between them; the rest is worked out offline.
"""
