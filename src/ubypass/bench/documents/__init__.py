# SPDX-License-Identifier: GPL-2.0-only
"""Descriptions of records, for ``docs/results.md`` and for HTML pages.

One module per kind of record; ``table.py`` lists them, and a new kind is registered
there.
"""
