# SPDX-License-Identifier: GPL-2.0-only
"""Chains of system calls of real programs, replayed on this CPU: see README.md."""
