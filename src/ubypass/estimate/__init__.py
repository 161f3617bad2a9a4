# SPDX-License-Identifier: GPL-2.0-only
"""Estimates the saving of boosting a running program, without the kernel module.

Short bursts of tracepoints give the order of the system calls, and a few
single-stepped gaps give the user code between them; the rest is computed offline.
"""
