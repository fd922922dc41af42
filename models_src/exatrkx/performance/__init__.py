"""Tracking performance: particle selection, matching of candidates to particles, efficiency and rates, intervals."""
