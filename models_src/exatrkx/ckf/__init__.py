"""Combinatorial Kalman filter (CKF) of ACTS on the same events: the reference that a network has to stand beside.

`python -m exatrkx.ckf --help` is the command. The way of an event: `exatrkx.simulation` makes it, `algorithms` find its
tracks with what ACTS has (triplets of spacepoints as seeds, CKF, greedy ambiguity resolution), `labels` gives each
spacepoint to one of them; `reconstruction` joins these, `figures` counts. The candidates are then evaluated as those of
the networks are, by `exatrkx.performance.metrics`.

The filter knows what the networks had to learn: the geometry, the material, the field, the resolution of every
measurement, and how far modules are displaced (`measurements`), but not which ones and where to.

Sources: ACTS (arXiv:2106.13593); the CKF: R. Mankel, Nucl. Instrum. Meth. A 395 (1997) 169.
"""
