"""Data parallelism inside a step: each process takes its share of the rows, and the gradients add up.

A step's gradient is a sum over rows divided by the trained tokens of the whole step, so the sum over processes is
the gradient of one process. With one process nothing here does anything. `kedro run` starts one process.
"""

from collections.abc import Sequence

import torch
from accelerate import PartialState
from torch import Tensor

from qwen_pipeline.chat.packing import Row


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
