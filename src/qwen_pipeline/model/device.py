"""Device, autocast and threads of a run, decided once and in one place."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from accelerate import PartialState

# Below this width two OpenMP threads wait for each other more than they compute: the demo (256) trains faster
# on one thread on a busy 2-core machine, a 0.6B model (1,024) on all. See benchmarks/LOG.md.
WIDE_HIDDEN_SIZE = 512


def compute_device() -> torch.device:
    """This process's CUDA device as accelerate gives it, else the CPU."""
    return torch.device(PartialState(cpu=not torch.cuda.is_available()).device)


def autocast(device: torch.device, compute_dtype: torch.dtype) -> AbstractContextManager[None]:
    """Products in ``compute_dtype`` while the block runs; float32 changes nothing, nor does float16 on a CPU.

    Not accelerate's own: its precision is one for the life of a process, and a notebook trains more than once.
    """
    lowers = compute_dtype == torch.bfloat16 or (compute_dtype == torch.float16 and device.type == "cuda")
    return torch.autocast(device.type, dtype=compute_dtype if lowers else torch.bfloat16, enabled=lowers)


@contextmanager
def threads_for(hidden_size: int) -> Iterator[None]:
    """Use one thread for a narrow model on a CPU while the block runs, all of them otherwise."""
    before = torch.get_num_threads()
    if hidden_size < WIDE_HIDDEN_SIZE and not torch.cuda.is_available():
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
