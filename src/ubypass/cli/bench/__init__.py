# SPDX-License-Identifier: GPL-2.0-only
"""``ub bench``: measure the gain of boosting on this machine; a module for each verb.

A new verb is a new module here, with its options and its output. The measurement is in
:mod:`ubypass.bench`, the description of its records in :mod:`ubypass.bench.documents`.
"""

from ubypass.cli.verbs import group

__all__ = ["VERB"]

VERB = group(__name__, "measure the gain of boosting, and make reports of records")
