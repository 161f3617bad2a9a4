# SPDX-License-Identifier: GPL-2.0-only
"""What one machine has translated runs on another one, at other addresses."""

from __future__ import annotations

import pytest

from tests.guest.conftest import Guest, case


@pytest.mark.guest
@pytest.mark.parametrize("name", [case("sharing-onesite"), case("sharing-biased")])
def test_programs_compute_the_same_with_a_store(guest: Guest, name: str) -> None:
    result = guest.result(name)
    for machine in result["machines"]:
        print(name, {key: n for key, n in machine.items() if key != "places"})
        assert machine["outcome"] == result["native"]
        assert (machine["refused"], machine["lines"]) == (0, [])
        assert machine["hits"] + machine["misses"] > 0
        assert machine["published"] == machine["misses"]


@pytest.mark.guest("sharing-biased")
def test_translations_of_another_machine_are_loaded(guest: Guest) -> None:
    """One path at its only hot site: each machine asks for the same regions.

    Where one instruction makes several calls, that depends on which gap is traced.
    """
    first, *others = guest.result("sharing-biased")["machines"]
    assert first["hits"] == 0
    assert first["published"] > 0
    for machine in others:
        assert machine["hits"] > 0
        assert machine["places"] != first["places"]  # address-space randomization
