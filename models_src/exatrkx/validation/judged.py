"""What a report and its plots are made of: each finder's figures in each sample."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exatrkx.validation.cost import NetworkCost
    from exatrkx.validation.finders import Finder
    from exatrkx.validation.sums import Validation

PILEUP: Final = re.compile(r"(?:µ|μ|mu)\s*=?\s*(\d+(?:\.\d+)?)\s*$", re.IGNORECASE)
"""How a sample's name ends when it says the mean number of pile-up collisions."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A set of events that has a section of the report.

    Attributes:
        name: of the section; in plots, too.
        paths: of its events.
    """

    name: str
    paths: tuple[str, ...]

    @property
    def pileup(self) -> float | None:
        """µ, the mean number of pile-up collisions, where the name ends in it, as `µ = 40` does."""
        found = PILEUP.search(self.name)
        return float(found[1]) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The figures of one finder in one sample.

    Attributes:
        sample: whose events they were.
        finder: what found the tracks.
        result: how good they are.
        cost: of each network in one event of the sample; empty where it is not known.
    """

    sample: Sample
    finder: Finder
    result: Validation
    cost: tuple[NetworkCost, ...] = ()


def samples_of(judged: Iterable[Judged]) -> list[Sample]:
    """Each sample once, in the order in which they come first."""
    return list(dict.fromkeys(one.sample for one in judged))


def finders_of(judged: Iterable[Judged]) -> list[str]:
    """The name of each finder once, in the order in which they come first."""
    return list(dict.fromkeys(one.finder.name for one in judged))
