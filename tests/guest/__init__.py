# SPDX-License-Identifier: GPL-2.0-only
"""What must hold in a real kernel, tried in the lab.

``programs/`` are the C programs that are boosted. ``runner.py`` runs in the guest: all
cases in one boot, each natively and boosted, one line of JSON per case.
``conftest.py`` boots the lab once per session; ``test_*.py`` judge the cases.
"""
