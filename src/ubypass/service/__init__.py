# SPDX-License-Identifier: GPL-2.0-only
"""The service: keeps the programs boosted that a configuration names.

Scans for processes that match a rule, attaches them to an engine, and detaches
processes that do not match any more. Independent of the command line; the command
passes in the engine.
"""
