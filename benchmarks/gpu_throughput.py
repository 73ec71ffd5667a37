"""Trained tokens a second on a card under a cap, beside the peer, and the share of the card's matrix rate."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import torch
from gpu_grid import measure_cap, set_fraction
from gpu_limits import make_stepper, useful_operations
from gpu_model import Rows, build_model, make_rows, peer_step, ran_out_of_memory
from gpu_report import Part
from torch import nn

from qwen_pipeline.memory.activations import ActivationPolicy, apply_activation_policy
from qwen_pipeline.memory.cap import MemoryCap
from qwen_pipeline.memory.choice import make_plan
from qwen_pipeline.memory.pace import matrix_rate, measure_host_tokens
from qwen_pipeline.memory.plan import PlanRequest
from qwen_pipeline.memory.recovery import OutOfMemoryEvent, release_memory
from qwen_pipeline.model.attention import register_packed_attention
from qwen_pipeline.training.memory_recipe import step_recipe

CAP_GB = 16.0
PEER_ROWS = 4  # of a padded micro-batch
ROWS_OF_A_STEP = 16
MORE_ROWS_OF_A_STEP = (32, 64)


@dataclass
class Mode:
    """One way to train on the rows.

    Attributes:
        policy: What layers keep.
        step: Trains on all rows once.
        is_peer: A peer that does not fit under the cap is measured without it.
        capped: Whether the allocator is limited while it runs.
        seconds: Of every timed run.
    """

    policy: ActivationPolicy
    step: Callable[[], Any]
    is_peer: bool = True
    capped: bool = True
    seconds: list[float] = field(default_factory=list)


def measure_throughput(part: Part, config: Any, device: torch.device, tiny: bool, repeats: int) -> None:
    """Trained tokens a second of all modes, in turns, on the same rows, ours as the plan chooses for the cap.

    Then ours alone on more rows in an optimiser step, which fill larger micro-batches: what of a step is the host's, and what the card's.
    """
    cap, fraction = measure_cap(CAP_GB, device)
    part.note(cap_gb=cap.limit_gib)

    def limits_for(rows: Rows) -> tuple[int, int, ActivationPolicy]:
        return (8, 256, ActivationPolicy(None)) if tiny else plan_limits(config, rows, device, cap)

    rows = chat_rows(config, tiny)
    limits = limits_for(rows)
    model = build_model(config, device, torch.bfloat16, 16)
    measure_modes(part, model, rows, device, limits, fraction, repeats, with_peers=True)
    matrix = matrix_rate(device, 256 if tiny else 8192, repeats=20)
    part.note(matrix_rate=matrix)
    note_share(part, matrix, model, config, rows)

    def with_more_rows(inner: Part, count: int) -> None:
        more = chat_rows(config, tiny, count)
        measure_modes(inner, model, more, device, limits_for(more), fraction, repeats, with_peers=False)
        note_share(inner, matrix, model, config, more)

    for count in MORE_ROWS_OF_A_STEP:
        if part.seconds_left() > 0:
            part.attempt(f"{count}_rows_a_step", partial(with_more_rows, count=count))


def measure_modes(
    part: Part,
    model: nn.Module,
    rows: Rows,
    device: torch.device,
    limits: tuple[int, int, ActivationPolicy],
    fraction: float,
    repeats: int,
    with_peers: bool,
) -> None:
    """Time ours on some rows, with the peers in turn or alone, and note the figures."""
    recoveries: list[OutOfMemoryEvent] = []
    modes = make_modes(model, rows, device, limits, recoveries)
    if not with_peers:
        modes = {"ours": modes["ours"]}
    part.note(settings=[limits[0], limits[1], str(limits[2])])
    try:
        time_in_turns(model, modes, device, fraction, repeats, part.seconds_left)
    finally:
        set_fraction(1.0, device)
    part.note(
        **summarise_modes(modes, trained_tokens(rows)), recoveries=[asdict(event) for event in recoveries]
    )


def note_share(part: Part, matrix: float, model: nn.Module, config: Any, rows: Rows) -> None:
    """The share of the card's matrix rate at ours' tokens a second, where it ran."""
    if (ours := part.figures["median"]["ours"]) is not None:
        operations = useful_operations(model, config, rows)
        part.note(share_of_matrix_rate=operations * ours / trained_tokens(rows) / matrix)


def trained_tokens(rows: Rows) -> int:
    """Tokens with a label that some position predicts."""
    return sum(label != -100 for row in rows for label in row["labels"][1:])


def chat_rows(config: Any, tiny: bool, count: int = ROWS_OF_A_STEP) -> Rows:
    """So many rows of the lengths of a chat data set."""
    median, most = (40, 128) if tiny else (400, 2048)
    generator = torch.Generator().manual_seed(2)
    spread = torch.randn(count // 2 if tiny else count, generator=generator).mul(0.7).exp().mul(median)
    return make_rows([int(min(most, max(16, value))) for value in spread], config.vocab_size)


def plan_limits(
    config: Any, rows: Rows, device: torch.device, cap: MemoryCap
) -> tuple[int, int, ActivationPolicy]:
    """Rows and tokens of a micro-batch and what layers keep: the fastest for these rows under a cap."""
    on_gpu = device.type == "cuda"
    recipe = step_recipe(lora_r=16, lora_alpha=32, on_gpu=on_gpu)
    lengths = [len(row["input_ids"]) for row in rows]
    host_tokens = measure_host_tokens(config, device)
    plan = make_plan(
        PlanRequest(config, recipe, lengths, len(rows), cap, on_gpu=on_gpu, host_tokens=host_tokens)
    )
    return plan.max_rows, plan.max_tokens, plan.policy


def make_modes(
    model: nn.Module,
    rows: Rows,
    device: torch.device,
    limits: tuple[int, int, ActivationPolicy],
    recoveries: list[OutOfMemoryEvent],
) -> dict[str, Mode]:
    """Ours with the optimiser's update, and the peer's forward and backward in its default and in its best way."""
    ours = make_stepper(model, device, limits, recoveries)
    by_length = sorted(rows, key=lambda row: len(row["input_ids"]))

    def own() -> None:
        model.get_base_model().set_attn_implementation(register_packed_attention())
        ours.accumulate(rows)
        ours.update()

    def plain(order: Rows) -> None:
        for start in range(0, len(order), PEER_ROWS):
            peer_step(model, order[start : start + PEER_ROWS], device, True)

    return {
        "ours": Mode(limits[2], own, is_peer=False),
        "plain": Mode(ActivationPolicy(0), lambda: plain(rows)),
        "plain, grouped, kept": Mode(ActivationPolicy(None), lambda: plain(by_length)),
    }


def time_in_turns(
    model: nn.Module,
    modes: dict[str, Mode],
    device: torch.device,
    fraction: float,
    repeats: int,
    seconds_left: Callable[[], float],
) -> None:
    """Run every mode in turn, as often as asked and as the time suffices for, at least once.

    A run that begins with kernels not loaded or with an allocator that has nothing is not timed: each mode's first, and the one
    behind a peer that ran without the cap and had to give its memory back.

    Args:
        model: What all of them train.
        modes: Their ``seconds`` are filled; one that does not fit has none.
        device: Where.
        fraction: The share of the card under the cap.
        repeats: Timed runs of each.
        seconds_left: Until this should end.
    """

    def run(mode: Mode) -> float | None:
        taken = run_capped(mode, device, fraction)
        model.zero_grad(set_to_none=True)
        return taken

    is_cold = False
    for repeat in range(repeats):
        if repeat and seconds_left() <= 0:
            return
        for mode in modes.values():
            apply_activation_policy(model, mode.policy)
            if repeat == 0 or is_cold:
                run(mode)
            taken = run(mode)
            if taken is not None:
                mode.seconds.append(taken)
            is_cold = not mode.capped
            if is_cold:
                release_memory()


def run_capped(mode: Mode, device: torch.device, fraction: float) -> float | None:
    """Seconds of one run under the cap; a peer that does not fit under it runs without, now and from now on."""
    set_fraction(fraction if mode.capped else 1.0, device)
    taken = time_step(mode.step, device)
    if taken is not None or not mode.is_peer or not mode.capped:
        return taken
    mode.capped = False
    set_fraction(1.0, device)
    return time_step(mode.step, device)


def time_step(step: Callable[[], Any], device: torch.device) -> float | None:
    """Seconds that it takes; None where it runs out of memory."""
    start = time.perf_counter()
    try:
        step()
    except Exception as error:
        if not ran_out_of_memory(error):
            raise
        error.__traceback__ = None
        release_memory()
        return None
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def summarise_modes(modes: dict[str, Mode], tokens: int) -> dict[str, Any]:
    """Rates of all modes and ours beside the peers'; None where one of the two never fitted."""
    rates = {name: sorted(tokens / seconds for seconds in mode.seconds) for name, mode in modes.items()}
    median = {name: values[len(values) // 2] if values else None for name, values in rates.items()}
    peers = [rate for name, rate in median.items() if modes[name].is_peer and rate is not None]
    return {
        "tokens_per_second": rates,
        "median": median,
        "without_the_cap": [name for name, mode in modes.items() if not mode.capped],
        "did_not_fit": [name for name, rate in median.items() if rate is None],
        "ratio": ratio(median["ours"], median.get("plain")),
        "ratio_to_best": ratio(median["ours"], max(peers, default=None)),
    }


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """How many times as fast; None where one is not known."""
    return ours / theirs if ours and theirs else None
