# SPDX-License-Identifier: GPL-2.0-only
"""Mixed stress in the lab, for minutes or hours: ``make soak``.

``programs/`` and those of tests/guest are boosted and check themselves. In the guest,
``inside.py`` starts them, clients of /dev/ub (``clients.py``, ``engines.py``), which it
kills at random, and what disturbs all of these (``disturb.py``). ``__main__.py`` boots
the lab.
"""
