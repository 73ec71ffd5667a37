"""Going on after running out of memory, with the gradient of an undisturbed run.

A micro-batch is a transaction. Its gradient is collected apart and added to the step's gradient only once
the whole of it is there; if memory runs out on the way, what it has left behind is discarded, the memory
is given back, the micro-batch is split in two, and both halves take its place.
"""

import ctypes
import gc
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import TypeVar

import torch

from qwen_pipeline.errors import OutOfMemoryError
from qwen_pipeline.memory.transaction import Transaction

Batch = TypeVar("Batch")
Result = TypeVar("Result")

# How libraries say it when they do not raise torch.OutOfMemoryError. Sources: PyTorch
# c10/core/impl/alloc_cpu.cpp and c10/cuda, cuBLAS and cuDNN status names, bitsandbytes csrc/pythonInterface.
_MESSAGES = (
    "out of memory",
    "defaultcpuallocator: can't allocate memory",
    "defaultcpuallocator: not enough memory",
    "cublas_status_alloc_failed",
    "cublas_status_not_initialized",  # no room for the handle of another thread, as backward's; the first is made before loading
    "cudnn_status_alloc_failed",
    "cudaerrormemoryallocation",
    "cannot allocate memory",
    "unable to allocate",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` means that memory ran out, on the device or on the host."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if not isinstance(error, RuntimeError | OSError):
        return False
    return any(message in str(error).lower() for message in _MESSAGES)


@dataclass(frozen=True)
class OutOfMemoryEvent:
    """One recovery, for the report and for the plan to learn from.

    Attributes:
        message: First line of the error.
        action: ``split``, ``frugal`` or ``retry``.
        size: Length of the work that did not fit, as ``size_of`` gives it (tokens, rows), or None.
        first: The work was whole: nothing of it had been split before. One failure has one such event.
        work: What it was part of, ``training`` or ``validation``.
    """

    message: str
    action: str
    size: int | None = None
    first: bool = True
    work: str = "training"


def run_or_split(
    batch: Batch,
    *,
    run: Callable[[Batch], Result],
    split: Callable[[Batch], Sequence[Batch]],
    transaction: Transaction | None = None,
    frugal: Callable[[], AbstractContextManager[object]] | None = None,
    size_of: Callable[[Batch], int] | None = None,
    on_event: Callable[[OutOfMemoryEvent], None] = lambda event: None,
) -> list[Result]:
    """Run a micro-batch; where memory runs out, run its parts instead.

    Args:
        batch: The micro-batch.
        run: Does forward and backward (or scores the batch). It must bear being called again.
        split: Cuts a batch into smaller ones, in order; a single row gives fewer than two.
        transaction: Undoes what a failed attempt has left behind; `GradientTransaction` in training.
        frugal: Makes a context in which an attempt takes less memory (all layers recomputed, offloading);
            entered for a batch that cannot be split. Without it such a batch is tried once more as it is.
        size_of: Measures a batch for the event.
        on_event: Told of every recovery.

    Returns:
        The results of the parts that ran, in the batch's order: one if nothing went wrong.

    Raises:
        OutOfMemoryError: A single row does not fit, not even at a second attempt in the most frugal way.
    """
    transaction = transaction or Transaction()
    waiting = [(batch, False)]  # and whether it is the second attempt
    results: list[Result] = []
    while waiting:
        part, is_second = waiting.pop()
        with frugal() if frugal and is_second else nullcontext():
            result, failure = _attempt(part, run, transaction)
        if failure is None:
            results.extend(result)
            continue
        release_memory()
        size = size_of(part) if size_of else None
        smaller = list(split(part))
        if len(smaller) > 1:
            on_event(OutOfMemoryEvent(failure, "split", size, first=part is batch))
            waiting.extend((piece, is_second) for piece in reversed(smaller))
        elif not is_second:
            on_event(OutOfMemoryEvent(failure, "frugal" if frugal else "retry", size, first=part is batch))
            waiting.append((part, True))
        else:
            raise OutOfMemoryError(_explain(failure, size, "Lower max_sequence_length or lora_r"))
    return results


def run_or_retry(
    action: Callable[[], Result],
    *,
    transaction: Transaction,
    on_event: Callable[[OutOfMemoryEvent], None] = lambda event: None,
) -> Result:
    """Run what cannot be split, an optimiser step; where memory runs out, free it and try once more.

    Raises:
        OutOfMemoryError: The second attempt did not fit either.
    """
    failure: str | None = None
    for _ in range(2):
        results, failure = _attempt(None, lambda _: action(), transaction)
        if failure is None:
            return results[0]
        release_memory()
        on_event(OutOfMemoryEvent(failure, "retry"))
    raise OutOfMemoryError(_explain(str(failure), None, "Set optim=paged_adamw_8bit or a smaller lora_r"))


def release_memory() -> None:
    """Collect garbage and hand free blocks back: the allocator's to the device, those of glibc's heap to the system.

    A model that nobody holds any more is garbage with cycles in it, and stays until it is collected.
    """
    gc.collect()
    with suppress(AttributeError, OSError, TypeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def _attempt(
    part: Batch, run: Callable[[Batch], Result], transaction: Transaction
) -> tuple[list[Result], str | None]:
    """One try: its result, or the first line of the out-of-memory error.

    The error ends in here: its traceback holds every frame, and so every tensor, of the failed attempt.
    """
    begun = False
    try:
        transaction.begin()
        begun = True
        result = run(part)
        transaction.commit()
    except Exception as error:
        if begun:
            transaction.rollback()
        if not is_out_of_memory(error):
            raise
        # Somebody else may hold the error; without this it would hold the attempt's tensors.
        error.__traceback__ = error.__context__ = None
        return [], (str(error).splitlines() or [type(error).__name__])[0]
    return [result], None


def _explain(failure: str, size: int | None, remedy: str) -> str:
    subject = f"A single row of {size} tokens" if size else "This step"
    return f"{subject} does not fit into the memory allowed, and cannot be split ({failure}). {remedy}, or raise max_memory_gb."
