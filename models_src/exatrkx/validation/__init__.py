"""Validation of track finders, called here, served or known by their tracks, on events whose truth is known.

`finders` gives the tracks, `evaluation` sums the figures over events, in all, by stage and in bins (`binned`); `cost`
counts what the networks compute, `causes` why tracks are not perfect, `fits` how well they are measured. `report` with
its `tables` and what is `side_by_side`, and `plots` with its `panels`, show them.
"""

from exatrkx.validation.evaluation import Validation, validate

__all__ = ["Validation", "validate"]
