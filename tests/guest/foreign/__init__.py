# SPDX-License-Identifier: GPL-2.0-only
"""Programs that were not written for this project, natively and boosted.

``table.toml`` has one line for each. On the host ``packages.py`` fetches what is
lacking; in the guest ``play.py`` runs each natively, boosted whatever it gains, and
boosted as by default. ``test_foreign.py`` (one directory up) compares.
"""
