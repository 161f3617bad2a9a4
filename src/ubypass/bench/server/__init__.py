# SPDX-License-Identifier: GPL-2.0-only
"""Measuring real servers: native, boosted and native again, in one boot.

Boosting is done by ``ub attach``, as a user does it, and looked at through what
``ub stats --json`` says; nothing here knows how the engine works.
"""
