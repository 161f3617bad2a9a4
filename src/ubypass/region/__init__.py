# SPDX-License-Identifier: GPL-2.0-only
"""Discovery and analysis of the user code between system calls.

Works on bytes and addresses. Must not depend on processes, devices or the translator.
"""
