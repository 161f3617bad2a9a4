# SPDX-License-Identifier: GPL-2.0-only
"""What user code runs between two system calls: discovery and analysis.

Works on bytes and addresses. Knows nothing of processes, devices or of how code
is translated.
"""
