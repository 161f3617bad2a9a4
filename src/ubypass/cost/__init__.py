# SPDX-License-Identifier: GPL-2.0-only
"""What system calls and the code between them cost, natively and in a translation.

One model of time for the whole project: see :mod:`ubypass.cost.model`. Knows code and
processors, nothing of processes, devices or regions.
"""
