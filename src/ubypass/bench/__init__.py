# SPDX-License-Identifier: GPL-2.0-only
"""Measurements: known loops and real programs, native, boosted and at the limit.

Uses the engine as any command does; no package below depends on this one.
"""
