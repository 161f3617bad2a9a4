# SPDX-License-Identifier: GPL-2.0-only
"""The engine: watches attached processes and keeps their regions good.

Single-threaded. Takes events from the device, collects what they teach, builds
regions from it, loads them, and drops what does not pay. Knows nothing of
command lines; a command hands it a device and processes.
"""
