"""Device, dtype, autocast and threads of a run, decided once and in one place."""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache

import torch
from accelerate import PartialState

from qwen_pipeline.container import usable_cores

logger = logging.getLogger(__name__)

# Below this width two OpenMP threads wait for each other more than they compute: the demo (256) trains faster
# on one thread on a busy 2-core machine, a 0.6B model (1,024) on all. See benchmarks/LOG.md.
WIDE_HIDDEN_SIZE = 512


def compute_device() -> torch.device:
    """This process's CUDA device as accelerate gives it, always with its number, else the CPU."""
    device = torch.device(PartialState(cpu=not torch.cuda.is_available()).device)
    if str(device) == "cuda":  # PyTorch limits no card without its number
        return torch.device("cuda", torch.cuda.current_device())
    return device


@cache
def fast_dtype(device_type: str) -> torch.dtype:
    """Dtype of fast products: bfloat16 where the hardware has it, float16 on an older card, float32 on an older CPU.

    A CPU without AVX-512 multiplies bfloat16 matrices 5 to 70 times slower than float32 ones (measured with torch 2.13 on AVX2,
    see benchmarks/LOG.md).

    Args:
        device_type: ``cuda`` or ``cpu``.
    """
    if device_type == "cpu":
        if _cpu_has_bfloat16():
            return torch.bfloat16
        return torch.float32
    if torch.cuda.is_available() and not torch.cuda.is_bf16_supported(including_emulation=False):
        logger.warning("This card has no bfloat16; the run computes in float16.")
        return torch.float16
    return torch.bfloat16


def _cpu_has_bfloat16() -> bool:
    """What oneDNN says of this CPU. Source: the same question as in ``torch._inductor.fx_passes.mkldnn_fusion``."""
    asked = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return bool(asked and asked())


def autocast(device: torch.device, compute_dtype: torch.dtype) -> AbstractContextManager[None]:
    """Products in ``compute_dtype`` while the block runs; float32 changes nothing.

    Not accelerate's own: its precision is one for the life of a process, and a notebook trains more than once.
    """
    lowers = compute_dtype != torch.float32
    return torch.autocast(device.type, dtype=compute_dtype if lowers else torch.bfloat16, enabled=lowers)


@contextmanager
def threads_for(hidden_size: int) -> Iterator[None]:
    """Use one thread for a narrow model on a CPU while the block runs, otherwise as many as a container has cores for."""
    before = torch.get_num_threads()
    if hidden_size < WIDE_HIDDEN_SIZE and not torch.cuda.is_available():
        torch.set_num_threads(1)
    else:
        torch.set_num_threads(min(before, usable_cores()))
    try:
        yield
    finally:
        torch.set_num_threads(before)
