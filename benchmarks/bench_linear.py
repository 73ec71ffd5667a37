"""Cost grows linearly with the rows: operations per token and resident memory, at one and at ten times the rows.

    python benchmarks/bench_linear.py > result.json

The same training by the real loop (narrow Qwen3, NF4, LoRA, Arrow rows on disk, validation included), once over ``--rows`` rows
and once over the same rows ten times over, each in a process of its own. Operations are counted by PyTorch's FlopCounterMode
over all steps and validations of an epoch of ``--counted-rows``, which is slow; resident memory is the process's peak while it
trains, ``--repetitions`` times. Rows have the lengths of a chat data set (log-normal, median 60 tokens, at most 256).
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

TIMES = 10
SHAPE: dict[str, Any] = {
    "vocab_size": 2048, "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "tie_word_embeddings": True,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--counted-rows", type=int, default=48)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--times", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--count", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print("RESULT " + json.dumps(train(options.one, options.times, options.count)))
        return
    counted = [run(options.counted_rows, times, "--count")["operations_per_token"] for times in (1, TIMES)]
    memory = [
        [run(options.rows, times)["peak_rss_gib"] for _ in range(options.repetitions)] for times in (1, TIMES)
    ]
    result = {
        "settings": vars(options) | {"model": SHAPE, "times": TIMES},
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "operations_per_token": counted,
        "operations_growth": counted[1] / counted[0] - 1,
        "peak_rss_gib": [sorted(values) for values in memory],
        "memory_growth": statistics.median(memory[1]) / statistics.median(memory[0]) - 1,
    }
    print(json.dumps(result, indent=1))


def run(size: int, times: int, *more: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", str(size), "--times", str(times), *more]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        raise SystemExit(done.stderr[-2000:])
    result: dict[str, Any] = json.loads(lines[-1].removeprefix("RESULT "))
    print(size, times, *more, result, file=sys.stderr, flush=True)
    return result


def train(count: int, times: int, counts_operations: bool) -> dict[str, Any]:
    """One epoch over ``count`` rows, ``times`` times over."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from datasets import Dataset
    from qwen_pipeline.memory.activations import ActivationPolicy
    from qwen_pipeline.memory.measure import MemoryMeter
    from qwen_pipeline.model.attention import register_packed_attention
    from qwen_pipeline.model.demo_recipe import DemoRecipe
    from qwen_pipeline.model.demo_tokenizer import train_tokenizer
    from qwen_pipeline.model.load import load_quantized_model
    from qwen_pipeline.model.lora import attach_lora
    from qwen_pipeline.model.source import ModelSource
    from qwen_pipeline.params.train import TrainParameters
    from qwen_pipeline.tracking.reporter import Reporter
    from qwen_pipeline.training.fetch import row_lengths
    from qwen_pipeline.training.loop import Trainer
    from qwen_pipeline.training.planning import TrainingPlan

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        Qwen3ForCausalLM(Qwen3Config(**SHAPE)).to(torch.bfloat16).save_pretrained(f"{folder}/model")
        train_tokenizer(["a b c", "d e f"], DemoRecipe()).save_pretrained(f"{folder}/model")
        write_rows(Dataset, count, times, f"{folder}/train", seed=1)
        write_rows(Dataset, count // 4, times, f"{folder}/validation", seed=2)
        rows, validation = (Dataset.load_from_disk(f"{folder}/{name}") for name in ("train", "validation"))
        parameters = TrainParameters(
            batch_size="auto", effective_batch_size=16, num_epochs=1, save_strategy="no", max_sequence_length=256,
        )  # fmt: skip
        meter = MemoryMeter("cpu")
        plan = TrainingPlan(16, 2048, ActivationPolicy(None), None)
        model = attach_lora(
            load_quantized_model(ModelSource(f"{folder}/model"), attn_implementation=register_packed_attention()), r=16, alpha=32,
        )  # fmt: skip
        trainer = Trainer(model, rows, validation, parameters, plan, Reporter(), Path(folder) / "checkpoints")
        counter = FlopCounterMode(display=False)
        if counts_operations:
            # one micro-batch more, however many rows there are
            trainer.stepper.time_micro_batch = lambda rows: 0.0
            with counter:
                trainer.run()
        else:
            trainer.run()
        tokens = trainer.history.tokens + int(row_lengths(validation).sum())
    return {
        "rows": count * times, "tokens": tokens, "operations_per_token": counter.get_total_flops() / tokens,
        "peak_rss_gib": round(meter.read().host_peak_gib, 4),
    }  # fmt: skip


def write_rows(dataset: Any, count: int, times: int, folder: str, seed: int) -> None:
    """Rows of random tokens whose second half is trained, written as the tokenize stage writes them."""
    import torch

    def rows() -> Any:
        for number in range(count * times):
            if number % count == 0:
                generator = torch.Generator().manual_seed(seed)
            length = int(min(256, max(8, torch.randn((), generator=generator).mul(0.7).exp().mul(60))))
            ids = torch.randint(SHAPE["vocab_size"], (length,), generator=generator).tolist()
            half = length // 2
            yield {"input_ids": ids, "labels": [-100] * half + ids[half:], "example_id": str(number)}

    dataset.from_generator(rows, cache_dir=f"{folder}-cache").save_to_disk(folder)


if __name__ == "__main__":
    main()
