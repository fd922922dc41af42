"""From simulated events to the three networks' weights, their working point and a report: `python -m exatrkx.training`."""
