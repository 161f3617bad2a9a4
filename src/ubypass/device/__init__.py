# SPDX-License-Identifier: GPL-2.0-only
"""``/dev/ub``: the only place that talks to the kernel module.

``uapi`` has the layouts, ``client`` the calls. Knows nothing of how
translations come about or when to load them.
"""
