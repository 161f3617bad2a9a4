# SPDX-License-Identifier: GPL-2.0-only
"""Translations shared by the machines of a fleet (``docs/store.md``).

Finds, checks and publishes translations. Must not decide what is loaded: whatever comes
from here is verified like a translation that was made on this machine.
"""
