"""Charged-particle track finding with the Exa.TrkX graph-network pipeline, and its service on NVIDIA Triton.

Read in the order in which a hit travels: `event` and `readers`, `features`, `networks`, `neighbours`, `edges`,
`components`, `pipeline`; then `truth` and `metrics`, which say how good the tracks are. `contract` names every
tensor that crosses a model's border. Units are mm and GeV everywhere. Importing `exatrkx` imports no torch.
"""

__version__ = "0.1.0"
