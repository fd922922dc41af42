"""What track finders, called here, served or known by their tracks, find in events whose truth is known.

`arguments` are the command's options. `finders` gives the tracks, `sums` counts them in all and by stage, `binned` says
what is counted in bins, `cost` counts what the networks compute; `judged` holds these of each finder in each sample.
`report` with its `tables` and `images`, `table_file`, and `plots` with `samples_plot` and `panels` show them.
"""

from exatrkx.validation.sums import Validation, validate

__all__ = ["Validation", "validate"]
