# SPDX-License-Identifier: GPL-2.0-only
"""Differential fuzzing: translations against their originals on the real CPU.

``python -m tests.fuzz`` (``make fuzz``) runs until stopped. Generators make subjects
(:mod:`forms`, :mod:`blocks`, :mod:`regions`), :mod:`subject` turns them into cases,
:mod:`campaign` runs them and counts, :mod:`found` keeps what failed.
"""
