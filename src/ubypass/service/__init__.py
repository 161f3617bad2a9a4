# SPDX-License-Identifier: GPL-2.0-only
"""The service: keeps the programs boosted that a configuration names.

Looks for processes that match a rule, attaches them to an engine, and detaches those
that do not match any more. Knows nothing of command lines; a command hands it an
engine.
"""
