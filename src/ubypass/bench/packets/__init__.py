# SPDX-License-Identifier: GPL-2.0-only
"""The cost of receiving a UDP packet in several ways: XDP, rings, a raw socket.

Depends on servers and boosting only through :mod:`ubypass.bench.server`.
"""
