"""What a Triton server needs of this package: the adapter of its Python models, and their configuration files."""
