"""The loss against a frozen head: ours, PyTorch's chunked one and the plain one, side by side.

    python benchmarks/bench_loss.py [--tokens 512] [--hidden 1024] [--vocabulary 151936] [--dtype float32]

Variants take turns, so that a busy machine disturbs them alike. One JSON object on standard output: for each
variant the median of seconds for loss and gradient, their range, and the peak of live tensor bytes beside the
inputs (an operator's inner buffers are not seen: of PyTorch's chunked loss that is nearly all, so its memory
is given as None on a CPU; on CUDA the allocator's peak counts everything).
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from qwen_pipeline.memory.chunked_loss import IGNORE_INDEX, linear_cross_entropy
from qwen_pipeline.memory.live_bytes import LiveBytes

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def plain_loss(hidden_TD: Tensor, head_VD: Tensor, labels_T: Tensor) -> Tensor:
    """What transformers does: all rows meet the head, logits in float32."""
    logits_TV = (hidden_TD @ head_VD.t()).float()
    return functional.cross_entropy(logits_TV, labels_T, ignore_index=IGNORE_INDEX, reduction="sum")


def torch_loss(hidden_TD: Tensor, head_VD: Tensor, labels_T: Tensor) -> Tensor:
    """PyTorch's own chunked loss (2.13 and newer), with its default options."""
    options = torch.nn.LinearCrossEntropyOptions()
    return functional.linear_cross_entropy(
        hidden_TD, head_VD, labels_T, reduction="sum", ignore_index=IGNORE_INDEX, options=options
    )


def variants() -> dict[str, Loss]:
    """What can run here."""
    found: dict[str, Loss] = {"plain": plain_loss}
    if hasattr(functional, "linear_cross_entropy"):
        found["torch.linear_cross_entropy"] = torch_loss
    for chunk in (64, 128, 256, 512):
        found[f"ours, chunks of {chunk}"] = partial(linear_cross_entropy, chunk_tokens=chunk)
    found["ours, default"] = linear_cross_entropy
    return found


def run_once(loss: Loss, inputs: tuple[Tensor, Tensor, Tensor]) -> tuple[float, float]:
    """Seconds for loss and gradient, and the loss."""
    hidden_TD = inputs[0].detach().requires_grad_()
    synchronize(hidden_TD.device)
    start = time.perf_counter()
    value = loss(hidden_TD, *inputs[1:])
    value.backward()
    synchronize(hidden_TD.device)
    return time.perf_counter() - start, value.item()


def peak_mib(name: str, loss: Loss, inputs: tuple[Tensor, Tensor, Tensor]) -> float | None:
    """Peak memory beside the inputs."""
    hidden_TD = inputs[0].detach().requires_grad_()
    if hidden_TD.device.type == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        loss(hidden_TD, *inputs[1:]).backward()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    if name.startswith("torch"):
        return None
    with LiveBytes() as memory:
        loss(hidden_TD, *inputs[1:]).backward()
    return memory.peak / 2**20


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def make_inputs(arguments: argparse.Namespace) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    place = {"device": arguments.device, "dtype": getattr(torch, arguments.dtype)}
    hidden_TD = torch.randn(arguments.tokens, arguments.hidden, **place)
    head_VD = torch.randn(arguments.vocabulary, arguments.hidden, **place) * 0.02
    labels_T = torch.randint(arguments.vocabulary, (arguments.tokens,), device=arguments.device)
    labels_T[torch.rand(arguments.tokens, device=arguments.device) >= arguments.labelled] = IGNORE_INDEX
    return hidden_TD, head_VD, labels_T


def main() -> None:
    """Run every variant in turn and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--vocabulary", type=int, default=151_936)
    parser.add_argument("--labelled", type=float, default=0.6)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    inputs = make_inputs(arguments)
    losses = variants()
    times: dict[str, list[float]] = {name: [] for name in losses}
    values: dict[str, float] = {}
    for repeat in range(arguments.repeats + 1):
        for name, loss in losses.items():
            seconds, values[name] = run_once(loss, inputs)
            if repeat:  # The first round warms up.
                times[name].append(seconds)
    result = {
        "configuration": vars(arguments),
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "hardware": {"processor": platform.machine(), "threads": torch.get_num_threads()},
        "variants": {
            name: {
                "seconds": statistics.median(times[name]),
                "range": [min(times[name]), max(times[name])],
                "peak_mib": peak_mib(name, loss, inputs),
                "loss": values[name],
            }
            for name, loss in losses.items()
        },
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
