"""Simulated collision events: Pythia 8, ACTS Fatras on the Generic detector, digitisation, spacepoints with truth.

`python -m exatrkx.simulation --help` is the command. The way of an event: `generator` (what the protons make)
or `gun`, `detector` (where it leaves hits), `faults` (which of them are lost and added), `resolution` (how well they
are measured), `collect` (the `Event`); `chain` joins them, and runs many in worker processes.

Sources: Pythia 8.3 (arXiv:2203.11601); ACTS (arXiv:2106.13593); the Generic detector is that of the TrackML challenge
(arXiv:1904.06778), here in a uniform field of 2 T.
"""
