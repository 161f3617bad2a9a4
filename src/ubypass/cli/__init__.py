# SPDX-License-Identifier: GPL-2.0-only
"""The command ``ub``: one file per verb, listed in ``main.VERBS``.

A verb's file offers ``NAME``, ``HELP``, ``configure(parser)`` and ``run(args)``,
which returns the exit code. Files import what is heavy inside ``run``.
"""
