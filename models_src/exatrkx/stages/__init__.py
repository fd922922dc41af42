"""The stages between the networks: neighbour search, edge selection and track building, on a CPU and on a GPU.

`neighbours`, `edges` and `track_building` say what each stage gives, check what it is given, and choose the form:
`native` (C++ through ctypes), `cuda` (CuPy), or `reference` (SciPy and Python).
"""
