# SPDX-License-Identifier: GPL-2.0-only
"""``/dev/ub``: the only package that communicates with the kernel module.

``uapi`` has the layouts, ``client`` the calls. Independent of how translations are made
and when they are loaded.
"""
