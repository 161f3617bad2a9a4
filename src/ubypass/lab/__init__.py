# SPDX-License-Identifier: GPL-2.0-only
"""A virtual machine on a stock Debian kernel, for tests and first steps.

The guest sees the host's files, runs one command as root, and ends. Works without
privileges on the host; independent of translations, the kernel module's interface and
benchmarks.
"""
