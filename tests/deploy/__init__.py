# SPDX-License-Identifier: GPL-2.0-only
"""``deploy/``: what brings ubypass to many machines."""
