"""Collision events and their files: spacepoints, truth, features, formats that are read, tracks that are written."""
