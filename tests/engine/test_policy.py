# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from ubypass.engine.policy import Policy


def test_the_times_between_looks_are_in_order() -> None:
    policy = Policy()
    assert (
        policy.sampled_look_interval < policy.look_interval < policy.max_look_interval
    )
    assert (
        policy.growth_end
        < policy.max_sampling
        < policy.sampling_pause
        < policy.code_change_reset
    )
    assert policy.trial is not None
