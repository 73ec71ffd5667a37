"""Training on a card: parity, limits, throughput, profile, peers, plan against measured peaks. One command, under 10 minutes.

    python benchmarks/bench_train_gpu.py --output result.json [--budget-seconds 540] [--config DIRECTORY] [--tiny]
        [--parts throughput,peers] [--after EARLIER.json]

Needs torch >= 2.11, transformers >= 5.17, peft and bitsandbytes, and no installed package of this project; no data and no weights: the
model has Qwen3-4B's shape (or that of --config) and random weights. `--tiny` runs the same code on a CPU in a minute, with the counter of
live tensor bytes in the place of the allocator's.

The output is written whole after every part, and each part has its share of the time: what fails or has no time left costs only
itself. The peer inside of `throughput` is plain transformers + peft as a Trainer runs it: padded rows, logits of all tokens, all layers
recomputed (its default) or, in its best mode, rows grouped by length and all activations kept. It runs on this project's fused layers too,
which flatters it; `peers` are other programs' own trainers. A second run can be kept to some parts, and to those cases of the grid that an
earlier one did not reach. Rows have the lengths of a chat data set (log-normal, median 400 tokens).
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from gpu_source import find_package

find_package()

import torch  # noqa: E402
from gpu_grid import FULL, SMALL, Grid, Traces, check_plan, measured_before  # noqa: E402
from gpu_limits import check_limits  # noqa: E402
from gpu_model import QWEN3_4B, TINY  # noqa: E402
from gpu_parity import check_parity  # noqa: E402
from gpu_peers import compare, measure_peers  # noqa: E402
from gpu_profile import profile_step  # noqa: E402
from gpu_report import Part, write_whole  # noqa: E402
from gpu_throughput import CAP_GB, measure_throughput  # noqa: E402
from transformers import AutoConfig, Qwen3Config  # noqa: E402

from qwen_pipeline.memory.recovery import release_memory  # noqa: E402

Check = Callable[[Part], None]
# Of the time that is left when a part begins; the grid takes all that remains.
SHARES = {"parity": 0.1, "limits": 0.1, "throughput": 0.25, "profile": 0.1, "peers": 0.62, "plan": 1.0}


def main() -> None:
    """Run every part and print one JSON object at the end."""
    options = read_options()
    device, config = find_device(options.tiny), read_config(options.config, options.tiny)
    start = time.perf_counter()
    figures: dict[str, Any] = {
        "hardware": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "versions": versions(),
        "budget_seconds": options.budget_seconds,
    }
    report = Part(figures, lambda: write_whole(figures, options.output), options.budget_seconds)
    grid = SMALL if options.tiny else FULL
    traces = Traces(config, grid, device.type == "cuda")
    try:
        for name, check in list_checks(options, config, device, grid, traces).items():
            report.attempt(name, partial(run_afresh, check=check), SHARES[name])
        ours = figures.get("throughput", {}).get("median", {}).get("ours")
        report.note(ours_beside_peers=compare(ours, figures.get("peers", {})))
    finally:
        traces.close()
        report.note(seconds=time.perf_counter() - start)
        print(json.dumps(figures, indent=1))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, help="the JSON is written here after every part")
    parser.add_argument("--budget-seconds", type=float, default=540, help="shared out over the parts")
    parser.add_argument("--config", help="a folder with config.json; Qwen3-4B's shape by default")
    parser.add_argument("--tiny", action="store_true", help="a small shape, also on a CPU")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--parts", help=f"joined by commas; all of {', '.join(SHARES)} by default")
    parser.add_argument(
        "--after", type=Path, help="an earlier output, whose cases of the grid are not run again"
    )
    options = parser.parse_args()
    unknown = set(chosen(options)) - set(SHARES)
    if unknown:
        parser.error(f"--parts: {', '.join(sorted(unknown))}: there are {', '.join(SHARES)}")
    return options


def chosen(options: argparse.Namespace) -> list[str]:
    """The parts that are asked for."""
    return options.parts.split(",") if options.parts else list(SHARES)


def list_checks(
    options: argparse.Namespace, config: Any, device: torch.device, grid: Grid, traces: Traces
) -> dict[str, Check]:
    """The parts in the order in which they run: the grid comes last, since it can use any time that is left."""
    settings = [
        *(["--tiny"] if options.tiny else []),
        *(["--config", options.config] if options.config else []),
    ]
    checks = {
        "parity": partial(check_parity, device=device),
        "limits": partial(check_limits, config=config, device=device, tiny=options.tiny),
        "throughput": partial(
            measure_throughput, config=config, device=device, tiny=options.tiny, repeats=options.repeats
        ),
        "profile": partial(profile_step, config=config, device=device, tiny=options.tiny),
        "peers": partial(measure_peers, settings=settings, tiny=options.tiny, cap_gb=CAP_GB),
        "plan": partial(
            check_plan, config=config, device=device, grid=grid, traces=traces, known=measured_before(options.after)
        ),
    }  # fmt: skip
    return {name: check for name, check in checks.items() if name in chosen(options)}


def run_afresh(part: Part, check: Check) -> None:
    """Run a part with nothing left of the one before."""
    release_memory()
    check(part)


def find_device(tiny: bool) -> torch.device:
    """The card; the CPU only at the tiny size."""
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    if not tiny:
        raise SystemExit("There is no CUDA device here; --tiny runs the same code on a CPU.")
    return torch.device("cpu")


def read_config(folder: str | None, tiny: bool) -> Any:
    """The model's shape."""
    return AutoConfig.from_pretrained(folder) if folder else Qwen3Config(**(TINY if tiny else QWEN3_4B))


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    import bitsandbytes
    import peft
    import transformers

    modules = (torch, transformers, peft, bitsandbytes)
    return {
        "python": platform.python_version(),
        **{module.__name__: module.__version__ for module in modules},
    }


if __name__ == "__main__":
    main()
