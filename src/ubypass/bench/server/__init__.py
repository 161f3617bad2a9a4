# SPDX-License-Identifier: GPL-2.0-only
"""Measurements of real servers: native, boosted and native again, in one boot.

Servers are boosted by ``ub attach``, as by a user, and observed through ``ub stats
--json``; independent of the engine's internals.
"""
