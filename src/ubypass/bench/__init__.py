# SPDX-License-Identifier: GPL-2.0-only
"""Measuring: known loops, run natively, boosted, and at the limit.

Uses the engine as any command does; nothing below knows of this package.
"""
