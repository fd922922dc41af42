"""Commands of the measurements: `exatrkx perf …`, or the scripts in perf/."""
