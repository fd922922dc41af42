"""Charged-particle track finding with the Exa.TrkX graph-network pipeline, and its service on NVIDIA Triton.

Read in the order in which an event travels: `events` (spacepoints, features, files), `networks`, `stages` (what is
between the networks), `pipeline`; then `performance`, which says how good the tracks are. `contract` names every
tensor that crosses a model's border. `serving` is what a Triton server needs; `simulation`, `training`, `validation`
and `ckf` are commands. Units are mm and GeV everywhere. Importing `exatrkx` imports no torch.
"""

__version__ = "0.1.0"
