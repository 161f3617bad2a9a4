# SPDX-License-Identifier: GPL-2.0-only
"""Userspace Bypass: run hot user code between system calls inside the kernel."""
