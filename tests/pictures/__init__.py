# SPDX-License-Identifier: GPL-2.0-only
"""Pictures for docs/: ``ub top`` and the dashboard, of a service in the lab."""
