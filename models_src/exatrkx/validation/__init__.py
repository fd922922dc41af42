"""What a track finder, called here or served, finds in events whose truth is known: in all, by stage and in bins.

`finders` gives the tracks, `sums` counts them, `binned` says what is counted in bins; `report`, `table_file` and
`plots` show the counts.
"""

from exatrkx.validation.sums import Validation, validate

__all__ = ["Validation", "validate"]
