"""Kernels of Triton for what a card would otherwise do in many passes over memory, and plain PyTorch where they do not run."""
