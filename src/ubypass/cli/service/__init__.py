# SPDX-License-Identifier: GPL-2.0-only
"""``ub service``: one daemon that keeps programs boosted by a configuration.

Exit statuses: 0; 1 for errors; 2 for wrong usage; 3: no service runs (``status`` and
other requests to it); of ``run`` also 69, if the module is missing or refuses access,
and 78 for a wrong configuration. In these two cases programs run natively.
"""

from ubypass.cli.verbs import group

__all__ = ["VERB"]

VERB = group(__name__, "keep programs boosted by the rules of a configuration")
