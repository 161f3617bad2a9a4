# SPDX-License-Identifier: GPL-2.0-only
"""Building kernel modules for a given kernel release."""
