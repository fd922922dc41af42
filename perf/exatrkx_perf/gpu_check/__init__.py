"""The check of everything that runs on a GPU, for a machine that may have nothing but its driver, CUDA and PyTorch."""
