# SPDX-License-Identifier: GPL-2.0-only
"""Checks of this machine: requirements of boosting here, and of the lab.

Read-only and without privileges, with one exception: a test build of the module is
written to the cache.
"""
