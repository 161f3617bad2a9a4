# SPDX-License-Identifier: GPL-2.0-only
"""The ways of a newcomer, each on a Debian that was installed a minute ago.

``make test-fresh`` runs them. Not a part of ``make test``: they need root, debootstrap,
the network, and minutes each.
"""
