"""Detector profiles: what the documentation says of them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from exatrkx.simulation import __file__ as package
from exatrkx.simulation.profile import IDEAL, PROFILES, DetectorProfile

README = (Path(package).parent / "README.md").read_text(encoding="utf-8")


def test_the_documentation_has_every_fault_and_its_realistic_number() -> None:
    for one in fields(DetectorProfile):
        value = getattr(PROFILES["realistic"], one.name)
        number = "on" if value is True else f"{value:g}".replace("-", "−")
        (row,) = (line for line in README.splitlines() if f"`--{one.name.replace('_', '-')}`" in line and "|" in line)
        assert number in row.split("|")[2]


def test_the_ideal_profile_is_the_default_and_alters_nothing() -> None:
    assert PROFILES["ideal"] == DetectorProfile() == IDEAL
    assert not IDEAL.alters_hits
    assert PROFILES["realistic"].alters_hits
    assert str(IDEAL) == "ideal detector"
    assert str(DetectorProfile(noise=0.5, geometric_clusters=True)) == "noise = 0.5, geometric_clusters = True"
