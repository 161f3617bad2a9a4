# SPDX-License-Identifier: GPL-2.0-only
"""A kernel that checks itself: KASAN, UBSAN, lockdep and others, for the lab.

Built once from Debian's source of the kernel of a suite and with the suite's own
compiler, by a small configuration (``kernel.config``). Debian has no such kernel.
"""
