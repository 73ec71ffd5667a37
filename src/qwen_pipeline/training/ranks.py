"""Data parallelism inside a step: each process takes its share of the rows, and the gradients add up.

A step's gradient is a sum over rows divided by the trained tokens of the whole step, so the sum over processes is
the gradient of one process. With one process nothing here does anything. All processes take the same steps and come to
the same decisions, since these follow from sums that all of them have; the first one alone writes and tells.
"""

import os
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from accelerate import PartialState
from torch import Tensor

from qwen_pipeline.chat.packing import Row
from qwen_pipeline.container import usable_cores
from qwen_pipeline.errors import EnvironmentProblemError
from qwen_pipeline.memory.recovery import is_out_of_memory
from qwen_pipeline.training.state import seed_of

Result = TypeVar("Result")

# Where launchers (torchrun and accelerate, MPICH and Intel, Open MPI, MVAPICH) tell the number of processes; accelerate reads them.
_SIZES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
_SHARDING = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
}  # set by accelerate launch
# Longer than the first process may wait for a full disk, or for a tracker, before the others wait in vain.
_PATIENCE = timedelta(hours=2)


def require_own_launch(processes: int) -> None:
    """Refuse launchers of several processes, sharded models, and more processes than there are cards.

    Args:
        processes: ``num_processes``.

    Raises:
        EnvironmentProblemError: The environment asks for one of them, or the machine has too few cards.
    """
    count, size = max((int(os.environ.get(name) or 1), name) for name in _SIZES)
    shards = [kind for name, kind in _SHARDING.items() if os.environ.get(name, "").lower() in ("1", "true")]
    if count > 1 or shards:
        asked = shards[0] if shards else f"{count} processes ({size}={count})"
        raise EnvironmentProblemError(
            f"This environment asks for {asked}, and the train stage starts its processes itself: run kedro run without torchrun, "
            "mpirun or accelerate launch, and set num_processes=2 for two cards."
        )
    cards = torch.cuda.device_count() if torch.cuda.is_available() else processes
    if processes > cards:
        raise EnvironmentProblemError(
            f"num_processes={processes}: this run sees {cards} of the machine's cards, and each process needs one; set "
            f"num_processes={cards}, or name more cards in CUDA_VISIBLE_DEVICES."
        )


def join_ranks(rank: int, count: int, meeting: Path) -> None:
    """Become one of ``count`` processes of this machine; returns when all are there.

    Args:
        rank: This one's number, and the number of its card.
        count: Of all processes.
        meeting: A file that does not exist yet, by which they find each other.
    """
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    os.environ.update({name: str(value) for name, value in own.items()})
    for library in ("GLOO", "NCCL"):  # all are on this machine, and a container may have no other network
        os.environ.setdefault(f"{library}_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    on_cpu = not torch.cuda.is_available()
    if on_cpu:
        threads = max(1, usable_cores() // count)
        os.environ["OMP_NUM_THREADS"] = str(threads)  # accelerate takes all cores where it is not set
        torch.set_num_threads(threads)
    else:
        _leave_out_what_the_cards_lack()
    PartialState(
        cpu=on_cpu, init_method=meeting.as_uri(), rank=rank, world_size=count, timeout=_PATIENCE
    )  # fmt: skip


def _leave_out_what_the_cards_lack() -> None:
    """Cards of the RTX 4000 series cannot reach each other's memory; accelerate refuses them unless NCCL is told so."""
    from accelerate.utils import check_cuda_p2p_ib_support

    if not check_cuda_p2p_ib_support():
        os.environ.setdefault("NCCL_P2P_DISABLE", "1")
        os.environ.setdefault("NCCL_IB_DISABLE", "1")


def leave_ranks() -> None:
    """End the work together, when all have come to its end."""
    PartialState().wait_for_everyone()
    PartialState().destroy_process_group()


def is_first() -> bool:
    """Whether this process writes checkpoints and tells how it goes; the only one always does."""
    return bool(PartialState().is_main_process)


def several() -> bool:
    """Whether there are other processes."""
    return int(PartialState().num_processes) > 1


def own_share(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows that this process takes, of about as many tokens as every other's."""
    state = PartialState()
    return deal(rows, state.num_processes)[state.process_index] if several() else rows


def deal(rows: Sequence[Row], shares: int) -> list[list[Row]]:
    """Rows in shares of about the same number of tokens: the longest first, each to the share that has fewest.

    Source: Graham 1969, "Bounds on Multiprocessing Timing Anomalies": at most 4/3 of the best division's largest share.
    """
    dealt: list[list[Row]] = [[] for _ in range(shares)]
    tokens = [0] * shares
    for row in sorted(rows, key=lambda row: -len(row["input_ids"])):
        emptiest = tokens.index(min(tokens))
        dealt[emptiest].append(row)
        tokens[emptiest] += len(row["input_ids"])
    return dealt


def seed_step(seed: int, step: int) -> None:
    """Begin the random numbers of this process's share of a step anew: what a checkpoint keeps are the first process's alone."""
    if several():
        torch.manual_seed(seed_of(seed, step, PartialState().process_index))


def sum_over_ranks(figure: Tensor) -> Tensor:
    """The sum of a tensor over all processes; the tensor itself where there is one."""
    if several():
        torch.distributed.all_reduce(figure)
    return figure


def sum_gradients(weights: Sequence[Tensor]) -> None:
    """Give every process the sum of all processes' gradients, in place.

    Args:
        weights: Trained weights, in the same order everywhere; one without a gradient counts as zero.
    """
    if not several():
        return
    for weight in weights:
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        torch.distributed.all_reduce(weight.grad)


def any_of_all(flag: bool) -> bool:
    """Whether it is so in any process."""
    if not several():
        return flag
    return bool(sum_over_ranks(torch.tensor(float(flag), device=PartialState().device)) > 0)


def of_all(value: Result) -> list[Result]:
    """What each process has, in their order; the same list in all."""
    if not several():
        return [value]
    values: list[Result | None] = [None] * PartialState().num_processes
    torch.distributed.all_gather_object(values, value)
    return values  # type: ignore[return-value]


def fail_together(action: Callable[[], Result], failure: type[Exception]) -> Result:
    """Do what every process does: where memory runs out in one, all of them fail, and so stay at the same place.

    Args:
        action: Meets no other process.
        failure: What those raise that had memory enough; the others raise their own.
    """
    if not several():
        return action()
    mine: Exception | None = None
    try:
        result = action()
    except Exception as error:
        if not (is_out_of_memory(error) or isinstance(error, failure)):
            raise
        mine = error
    if any_of_all(mine is not None):
        raise mine or failure("Another process ran out of memory.")
    return result
