# SPDX-License-Identifier: GPL-2.0-only
"""How much of a program's code could be translated.

Finds the functions of an ELF file, splits them into blocks, and asks the translator
about each. Runs nothing and needs no kernel module.
"""
