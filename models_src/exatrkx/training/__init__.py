"""From simulated events to the three networks, their working point and a report: `python -m exatrkx.training`."""
