# SPDX-License-Identifier: GPL-2.0-only
"""The engine: watches attached processes and keeps their regions profitable.

Single-threaded. Takes events from the device, adds them to profiles, builds regions
from these, loads them, and drops regions that do not pay. Independent of command lines:
a command passes a device and processes.
"""
