"""What it costs to find tracks directly, through the ensemble and through the custom backend: measured and compared."""
