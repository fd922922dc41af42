"""What `perf/stages.py` is made of: inputs, the implementations that are compared, and the stopwatch."""
