"""Device and threads of a run, decided once and in one place."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Below this width two OpenMP threads wait for each other more than they compute: the demo (256) trains faster
# on one thread on a busy 2-core machine, a 0.6B model (1,024) on all. See benchmarks/LOG.md.
WIDE_HIDDEN_SIZE = 512


def training_device() -> torch.device:
    """The first CUDA device, else the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


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
