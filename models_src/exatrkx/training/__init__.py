"""Training of the three networks on simulated events, and their working point: `python -m exatrkx.training`."""
