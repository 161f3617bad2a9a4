# SPDX-License-Identifier: GPL-2.0-only
"""What this machine has and lacks for boosting here, and for the lab.

Looks only; changes nothing, needs no privilege. Whether the module builds is found by
building it, into the cache.
"""
