"""Running out of memory inside a step changes neither the gradient nor the run."""

import gc
import weakref
from contextlib import contextmanager
from itertools import chain

import pytest
import torch
from bitsandbytes.optim import AdamW8bit

from qwen_pipeline.errors import OutOfMemoryError, PipelineError
from qwen_pipeline.memory import recovery
from qwen_pipeline.memory.recovery import is_out_of_memory, run_or_retry, run_or_split
from qwen_pipeline.memory.transaction import GradientTransaction, OptimizerTransaction

OOM = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.32 GiB.\nGPU 0 has ...")


@pytest.mark.parametrize(
    "error",
    [
        OOM,
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried"
        ),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:119] . DefaultCPUAllocator: not enough memory: you tried"
        ),
        RuntimeError("Error: out of memory at line 380 in file /src/csrc/pythonInterface.cpp"),
        OSError(12, "Cannot allocate memory"),
        MemoryError("Unable to allocate 3.00 GiB for an array with shape (1, 2)"),
    ],
)
def test_recognises_every_way_of_saying_out_of_memory(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: device-side assert triggered"),
        ValueError("out of memory of the old days"),
        OSError(28, "No space left on device"),
        OutOfMemoryError("A single row does not fit: out of memory"),
        KeyError("x"),
    ],
)
def test_other_errors_are_not_taken_for_it(error):
    assert not is_out_of_memory(error)


class Work:
    """A small model whose forward, or backward half way through, runs out of memory when told to."""

    def __init__(self, limit=10_000, fail_in="forward", dropout=0.0, width=16):
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(
            torch.nn.Linear(8, width), torch.nn.Dropout(dropout), torch.nn.Tanh(), torch.nn.Linear(width, 4)
        )
        self.rows = torch.randn(12, 8)
        self.limit, self.fail_in, self.calls = limit, fail_in, []
        self.left_behind = []

    def run(self, rows):
        self.calls.append(len(rows))
        hidden = self.model[0](rows)
        self.left_behind.append(weakref.ref(hidden))
        if len(rows) > self.limit:
            if self.fail_in == "forward":
                raise OOM
            # The last layer's gradient is already there when the first layer's backward fails.
            hidden.register_hook(self._fail)
        loss = self.model[1:](hidden).square().sum()
        loss.backward()
        return loss.item()

    def _fail(self, gradient):
        assert self.model[3].weight.grad is not None
        raise OOM

    def gradients(self):
        return [parameter.grad.clone() for parameter in self.model.parameters()]


def split_rows(rows):
    return rows.tensor_split(2) if len(rows) > 1 else [rows]


def recover(work, batches, **settings):
    transaction = GradientTransaction(work.model.parameters())
    return [
        sum(run_or_split(batch, run=work.run, split=split_rows, transaction=transaction, **settings))
        for batch in batches
    ]


@pytest.mark.parametrize("fail_in", ["forward", "backward"])
@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_the_gradient_is_that_of_the_undisturbed_step(fail_in, limit):
    undisturbed = Work()
    losses = [undisturbed.run(rows) for rows in undisturbed.rows.split(6)]
    work = Work(limit=limit, fail_in=fail_in)
    assert recover(work, work.rows.split(6)) == pytest.approx(losses, rel=1e-5)
    assert len(work.calls) > 2
    for found, wanted in zip(work.gradients(), undisturbed.gradients(), strict=True):
        assert (found - wanted).norm() <= 1e-5 * wanted.norm()


def test_without_failure_the_gradient_has_the_bits_of_plain_accumulation():
    plain, kept_apart = Work(), Work()
    for rows in plain.rows.split(3):
        plain.run(rows)
    recover(kept_apart, kept_apart.rows.split(3))
    assert all(map(torch.equal, kept_apart.gradients(), plain.gradients()))


def test_parts_run_in_order_and_their_results_come_back_in_order():
    seen = []

    def run(items):
        if len(items) > 2:
            raise OOM
        seen.extend(items)
        return items

    results = run_or_split(
        list(range(7)), run=run, split=lambda items: (items[: len(items) // 2], items[len(items) // 2 :])
    )
    assert seen == list(range(7)) and list(chain.from_iterable(results)) == seen


def test_memory_of_the_failed_attempt_is_free_before_the_next_one(monkeypatch):
    work, alive = Work(limit=6), []

    def release():
        gc.collect()
        alive.append([ref() for ref in work.left_behind if ref() is not None])

    monkeypatch.setattr(recovery, "release_memory", release)
    recover(work, [work.rows])
    assert alive == [[]]


def test_a_repeated_attempt_draws_the_same_dropout():
    undisturbed, work = Work(dropout=0.5), Work(limit=11, fail_in="backward", dropout=0.5)
    torch.manual_seed(7)
    undisturbed.run(undisturbed.rows)
    torch.manual_seed(7)

    @contextmanager
    def frugal():
        work.limit = 99
        yield

    run_or_split(
        work.rows,
        run=work.run,
        split=lambda rows: [rows],
        transaction=GradientTransaction(work.model.parameters()),
        frugal=frugal,
    )
    assert all(map(torch.equal, work.gradients(), undisturbed.gradients()))


def test_each_recovery_is_told_with_its_size():
    events = []
    work = Work(limit=3)
    recover(work, [work.rows], on_event=events.append, size_of=len)
    assert [(event.action, event.size) for event in events] == [("split", 12), ("split", 6), ("split", 6)]
    assert events[0].message == "CUDA out of memory. Tried to allocate 2.32 GiB."


def test_a_row_that_cannot_be_split_goes_the_frugal_way_before_giving_up():
    work, entered = Work(limit=0), []

    @contextmanager
    def frugal():
        entered.append(len(work.calls))
        work.limit = 1
        yield
        work.limit = 0

    events = []
    recover(work, [work.rows[:2]], frugal=frugal, on_event=events.append)
    assert work.calls == [2, 1, 1, 1, 1] and entered == [2, 4]
    told = [(event.action, event.first) for event in events]
    assert told == [("split", True), ("frugal", False), ("frugal", False)]
    assert {event.work for event in events} == {"training"}


def test_a_row_that_never_fits_ends_in_one_message_with_the_remedy():
    work = Work(limit=0)
    with pytest.raises(OutOfMemoryError, match=r"single row of 1 tokens .*max_memory_gb") as caught:
        recover(work, [work.rows], size_of=len)
    assert isinstance(caught.value, PipelineError) and caught.value.__context__ is None


def test_the_step_so_far_survives_a_row_that_never_fits():
    work = Work()
    recover(work, [work.rows[:4]])
    before = work.gradients()
    work.limit, work.fail_in = 0, "backward"
    with pytest.raises(OutOfMemoryError):
        recover(work, [work.rows[4:5]])
    assert all(map(torch.equal, work.gradients(), before))


def test_other_errors_pass_through_and_leave_the_gradient_as_it_was():
    work = Work()
    recover(work, [work.rows[:4]])
    before = work.gradients()

    def broken(rows):
        work.run(rows)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_or_split(
            work.rows, run=broken, split=split_rows, transaction=GradientTransaction(work.model.parameters())
        )
    assert all(map(torch.equal, work.gradients(), before))


@pytest.mark.parametrize("optimizer_class", [torch.optim.AdamW, AdamW8bit])
@pytest.mark.parametrize("steps_before", [0, 2])
def test_an_optimiser_step_that_fails_half_way_is_undone_and_repeated(optimizer_class, steps_before):
    def train(fail_at_step):
        work = Work(width=1024)  # enough for a state in 8 bits
        optimizer = optimizer_class(work.model.parameters(), lr=0.1)
        for step in range(steps_before + 1):
            work.run(work.rows)
            attempts = []

            def take_step(step=step, attempts=attempts):
                attempts.append(step)
                optimizer.step()
                if step == fail_at_step and len(attempts) == 1:
                    raise OOM
                return f"step {step}"

            taken = run_or_retry(take_step, transaction=OptimizerTransaction(optimizer))
            assert taken == f"step {step}"
            optimizer.zero_grad()
        return [parameter.detach() for parameter in work.model.parameters()]

    assert all(map(torch.equal, train(fail_at_step=steps_before), train(fail_at_step=None)))


def test_an_optimiser_step_that_never_fits_names_the_remedy():
    work = Work()
    optimizer = torch.optim.SGD(work.model.parameters(), lr=0.1)
    work.run(work.rows)
    before = [parameter.detach().clone() for parameter in work.model.parameters()]

    def take_step():
        optimizer.step()
        raise MemoryError

    with pytest.raises(OutOfMemoryError, match="optim=paged_adamw_8bit"):
        run_or_retry(take_step, transaction=OptimizerTransaction(optimizer))
    assert all(map(torch.equal, work.model.parameters(), before))


def test_a_rolled_back_state_stays_in_its_own_tensors():
    """bitsandbytes marks the tensors that live in managed memory; a copy in their place would be refused as no card's."""
    work = Work()
    optimizer = torch.optim.AdamW(work.model.parameters(), lr=0.1)
    work.run(work.rows)
    optimizer.step()
    paged = {id(value): value for state in optimizer.state.values() for value in state.values()}
    values = {key: value.clone() for key, value in paged.items()}
    transaction = OptimizerTransaction(optimizer)
    transaction.begin()
    optimizer.step()
    transaction.rollback()
    now = {id(value): value for state in optimizer.state.values() for value in state.values()}
    assert now.keys() == paged.keys()
    assert all(torch.equal(now[key], values[key]) for key in now)


def test_paged_state_that_no_card_can_read_is_copied_by_the_host():
    work = Work()
    optimizer = torch.optim.AdamW(work.model.parameters(), lr=0.1)
    work.run(work.rows)
    optimizer.step()
    states = [state["exp_avg"] for state in optimizer.state.values()]
    for state in states:
        state.is_paged = True
    values = [state.clone() for state in states]
    transaction = OptimizerTransaction(optimizer)
    transaction.begin()
    optimizer.step()
    assert not any(map(torch.equal, states, values))
    transaction.rollback()
    assert all(map(torch.equal, states, values))
