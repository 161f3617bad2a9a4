# SPDX-License-Identifier: GPL-2.0-only
"""Runs user code and its translation on this machine's CPU, to compare or to time.

In user mode, in this process: nothing is loaded into a kernel. A small C library, built
with gcc on first use, takes the part of the module.
"""
