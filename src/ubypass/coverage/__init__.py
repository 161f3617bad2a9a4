# SPDX-License-Identifier: GPL-2.0-only
"""The share of a program's code that can be translated.

Finds the functions of an ELF file, splits them into blocks, and tries the translator on
each. Runs nothing and needs no kernel module.
"""
