# SPDX-License-Identifier: GPL-2.0-only
"""The cost of system calls and the code between them, natively and translated.

One model of time for the whole project: see :mod:`ubypass.cost.model`. Independent of
processes, devices and regions.
"""
