# SPDX-License-Identifier: GPL-2.0-only
"""A virtual machine on a stock Debian kernel, for tests and first steps.

It sees the host's files, runs one command as root, and is gone. Everything here
works without privileges on the host, and knows nothing of translations, the
kernel module's interface, or benchmarks.
"""
