"""Track fit: helix parameters of track candidates at the beam line, with their errors, by NumPy alone.

`tracks` fits all candidates of an event at once; `seed` is the circle that a fit starts from, `helix` the derivatives,
`information_filter` the least squares with multiple scattering, `tracker` the resolutions and the material.
"""
