"""Prints the largest error of all kernels, run on the host by Triton's interpreter; Triton decides that when it is imported."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import torch
from gpu_kernels import dequantise_errors, gated_errors, norm_errors, softmax_errors, turn_errors

from qwen_pipeline.kernels import fused

fused.kernels_run = lambda tensor: True
torch.manual_seed(0)
errors = [
    *norm_errors(torch.randn(7, 80), torch.randn(80), torch.randn(7, 80)),
    *turn_errors(torch.randn(1, 9, 3, 24), torch.randn(24), torch.randn(1, 9, 3, 24)),
    *gated_errors(torch.randn(11, 333), torch.randn(11, 333), torch.randn(11, 333)),
    *dequantise_errors(torch.randn(96, 128)),
    *softmax_errors(torch.randn(6, 10_001)),
]
print("largest error", max(errors))
