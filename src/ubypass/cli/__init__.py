# SPDX-License-Identifier: GPL-2.0-only
"""The command ``ub``: a module for each verb, listed in ``main.VERBS``.

Each module defines ``VERB`` (:mod:`ubypass.cli.verbs`); a verb with verbs of its own is
a package of such modules. Modules with a long import time are imported inside ``run``.
"""
