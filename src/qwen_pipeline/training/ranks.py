"""Data parallelism inside a step: each process takes its share of the rows, and the gradients add up.

A step's gradient is a sum over rows divided by the trained tokens of the whole step, so the sum over processes is
the gradient of one process. With one process nothing here does anything. The step adds up over processes; checkpoints,
tracking and reports are written by one process alone, so the train stage refuses to run in several.
"""

import os
from collections.abc import Sequence

import torch
from accelerate import PartialState
from torch import Tensor

from qwen_pipeline.chat.packing import Row
from qwen_pipeline.errors import EnvironmentProblemError

# Where launchers (torchrun and accelerate, MPICH and Intel, Open MPI, MVAPICH) tell the number of processes; accelerate reads them.
_SIZES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
_SHARDING = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
}  # set by accelerate launch


def require_one_process() -> None:
    """Refuse launchers of several processes and sharded models.

    Raises:
        EnvironmentProblemError: The environment asks for one of them.
    """
    count, size = max((int(os.environ.get(name) or 1), name) for name in _SIZES)
    shards = [kind for name, kind in _SHARDING.items() if os.environ.get(name, "").lower() in ("1", "true")]
    if count > 1 or shards:
        asked = shards[0] if shards else f"{count} processes ({size}={count})"
        raise EnvironmentProblemError(
            f"The train stage runs in one process on one card, and this environment asks for {asked}; start it with "
            "kedro run, without torchrun, mpirun or accelerate launch. Other cards: CUDA_VISIBLE_DEVICES=1 picks one."
        )


def own_share(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows of a step that this process takes: every n-th of them."""
    state = PartialState()
    return rows[state.process_index :: state.num_processes]


def sum_over_ranks(figure: Tensor) -> Tensor:
    """The sum of a tensor over all processes; the tensor itself where there is one."""
    if PartialState().num_processes > 1:
        torch.distributed.all_reduce(figure)
    return figure


def sum_gradients(weights: Sequence[Tensor]) -> None:
    """Give every process the sum of all processes' gradients, in place.

    Args:
        weights: Trained weights, in the same order everywhere; one without a gradient counts as zero.
    """
    if PartialState().num_processes == 1:
        return
    for weight in weights:
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        torch.distributed.all_reduce(weight.grad)
