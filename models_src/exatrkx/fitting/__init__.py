"""Track fit: helix parameters of track candidates at the beam line, with their errors, by NumPy alone.

`tracks` fits all candidates of an event at once: from the circle of `seed` by `least_squares`, whose derivatives are
in `helix` and whose linear problem `information_filter` solves. `tracker` has resolutions and material, `settings`
field and beam line.
"""
