"""Training on a CPU beside the peers: the same model, rows and optimiser batch, interleaved, medians.

    python benchmarks/bench_train.py --peers ../shared/peers --peers-python PEERS/bin/python [--vocabulary 8192] > result.json

The model has Qwen3-0.6B's width at ``--layers`` layers and random weights; with ``--vocabulary`` 151936 (the default) the
tokenizer is Qwen3's own (``--tokenizer``), else one trained on the rows. Rows are Alpaca rows, Chinese and English in turn.
Each system runs in a process of its own, one after the other, ``--repetitions`` times round; the first steps of each are not timed.
Tokens are those of the rendered conversations, never padding, shared out evenly over the steps: with too few rows the last,
smaller step of a packed run counts for too much, so ``--rows`` should make six steps or more. OpenMP's threads wait without
spinning in every system: spinning ones lose a factor of ten to any neighbour. The peers' environment needs trl, transformers, peft, bitsandbytes.
On a CPU without fast bfloat16, where this project computes in float32, the peers do too (a copy of their scripts that says so): theirs would be slower by far.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PEERS = {
    "transformers": ["hf_trainer.py"],
    "transformers, grouped": ["hf_trainer.py", "--group-by-length"],
    "transformers, no checkpointing": ["hf_trainer.py", "--no-checkpointing"],
    "transformers, grouped, no checkpointing": ["hf_trainer.py", "--group-by-length", "--no-checkpointing"],
    "trl, padded": ["trl_sft.py", "--mode", "padded"],
    "trl, padding-free": ["trl_sft.py", "--mode", "padding_free"],
    "trl, packed": ["trl_sft.py", "--mode", "packed"],
}
PACKED_SHARE = (
    0.5  # a pack of --max-length holds about two of these rows: half the batch is the same optimiser batch
)


def main() -> None:
    options = read_options()
    if options.one:
        print("RESULT " + json.dumps(train_once(options)))
        return
    folder = prepare(options)
    systems = {name: peer_command(options, folder, peer) for name, peer in PEERS.items() if options.peers}
    if options.systems:
        systems = {name: command for name, command in systems.items() if name in options.systems.split(";")}
    own = [
        sys.executable,
        __file__,
        "--one",
        "--folder",
        str(folder),
        *same_settings(options),
        *untimed(options, "--untimed"),
    ]
    systems = {"qwen_pipeline": own, **systems}
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in systems}
    for repetition in range(options.repetitions):
        for name, command in systems.items():
            result = run(command, options.threads)
            results[name].append(result)
            told = {key: result.get(key) for key in ("tokens_per_second", "peak_rss_gib", "error")}
            print(repetition, name, told, file=sys.stderr, flush=True)
    print(json.dumps(summarise(options, results), indent=1))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("bench_train"), help="where model and rows are made"
    )
    parser.add_argument("--rows-from", type=Path, default=Path("../shared/data/datasets"))
    parser.add_argument("--tokenizer", type=Path, default=Path("../shared/qwen3-4b-thinking-2507"))
    parser.add_argument(
        "--peers", type=Path, help="folder of the peers' scripts; without it only this project runs"
    )
    parser.add_argument("--peers-python", default=sys.executable)
    parser.add_argument("--systems", help="names of peers, joined by ;")
    parser.add_argument("--vocabulary", type=int, default=151_936)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--rows", type=int, default=80)
    parser.add_argument("--batch-size", type=int, default=8, help="rows of an optimiser step")
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--untimed", type=int, default=1, help="first steps of each run that are not timed")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def same_settings(options: argparse.Namespace) -> list[str]:
    return ["--batch-size", str(options.batch_size), "--max-length", str(options.max_length)]


def untimed(options: argparse.Namespace, name: str) -> list[str]:
    return [name, str(options.untimed)]


def peer_command(options: argparse.Namespace, folder: Path, peer: list[str]) -> list[str]:
    script, *mode = peer
    scripts = options.peers if compute_dtype() == "bfloat16" else folder
    if scripts == folder:
        text = (options.peers / script).read_text("utf-8")
        text = text.replace("torch.bfloat16", "torch.float32").replace("bf16=True", "bf16=False")
        (folder / script).write_text(text, encoding="utf-8")
    if "packed" in mode:  # argparse takes the last value
        mode += ["--batch-size", str(round(options.batch_size * PACKED_SHARE))]
    model, rows = str(folder / "model"), str(folder / "rows.jsonl")
    return [
        options.peers_python, str(scripts / script), "--model", model, "--rows", rows, *same_settings(options),
        *untimed(options, "--warmup-steps-untimed"), *mode
    ]  # fmt: skip


def compute_dtype() -> str:
    """Dtype of the products here, without the prefix of its module."""
    from qwen_pipeline.model.device import fast_dtype

    return str(fast_dtype("cpu")).removeprefix("torch.")


def run(command: list[str], threads: int) -> dict[str, Any]:
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        return {"error": (done.stderr or done.stdout).strip().splitlines()[-1:]}
    result: dict[str, Any] = json.loads(lines[-1].removeprefix("RESULT "))
    return result


def prepare(options: argparse.Namespace) -> Path:
    """Model, tokenizer and rows, made once."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    folder: Path = options.folder / f"vocabulary-{options.vocabulary}-layers-{options.layers}"
    rows = read_rows(options.rows_from, options.rows)
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"messages": row}, ensure_ascii=False) for row in rows]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if (folder / "model" / "model.safetensors").exists():
        return folder
    config = Qwen3Config(
        vocab_size=options.vocabulary, hidden_size=1024, intermediate_size=3072, num_hidden_layers=options.layers,
        num_attention_heads=16, num_key_value_heads=8, head_dim=128, tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(0)
    Qwen3ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder / "model")
    save_tokenizer(options, rows, folder / "model")
    return folder


def read_rows(folder: Path, count: int) -> list[list[dict[str, str]]]:
    """Alpaca rows, the two languages in turn."""
    files = [
        json.loads((folder / f"alpaca_{language}_demo.json").read_text("utf-8")) for language in ("en", "zh")
    ]
    mixed = [row for pair in zip(*files, strict=False) for row in pair][:count]
    return [
        [
            {"role": "user", "content": "\n".join(filter(None, [row["instruction"], row.get("input")]))},
            {"role": "assistant", "content": row["output"]},
        ]
        for row in mixed
    ]


def save_tokenizer(options: argparse.Namespace, rows: list[list[dict[str, str]]], folder: Path) -> None:
    from transformers import AutoTokenizer

    if options.vocabulary == 151_936:
        AutoTokenizer.from_pretrained(options.tokenizer).save_pretrained(folder)
        return
    from dataclasses import replace

    from qwen_pipeline.model.demo_recipe import DemoRecipe
    from qwen_pipeline.model.demo_tokenizer import train_tokenizer

    recipe = replace(DemoRecipe(), vocabulary=options.vocabulary)
    train_tokenizer([message["content"] for row in rows for message in row], recipe).save_pretrained(folder)


def train_once(options: argparse.Namespace) -> dict[str, Any]:
    """One training by this project's own loop, timed as the peers are."""
    import tempfile

    import torch
    from transformers import AutoConfig

    from qwen_pipeline.chat.labels import EncodedTurn, LabelRules, TurnEncoder
    from qwen_pipeline.memory.cap import apply_memory_cap
    from qwen_pipeline.memory.measure import MemoryMeter
    from qwen_pipeline.model.attention import register_packed_attention
    from qwen_pipeline.model.load import load_quantized_model
    from qwen_pipeline.model.lora import attach_lora
    from qwen_pipeline.model.source import ModelSource
    from qwen_pipeline.model.tokenizer import load_tokenizer
    from qwen_pipeline.params.train import TrainParameters
    from qwen_pipeline.tracking.reporter import Reporter
    from qwen_pipeline.training.loop import Trainer
    from qwen_pipeline.training.planning import plan_training
    from qwen_pipeline.training.precision import compute_dtype_for

    source = ModelSource(str(options.folder / "model"))
    encoder = TurnEncoder(
        load_tokenizer(source), LabelRules(max_sequence_length=options.max_length, answer_overflow="cut")
    )
    lines = (options.folder / "rows.jsonl").read_text("utf-8").splitlines()
    turns = [turn for line in lines for turn in encoder.encode(json.loads(line)["messages"])]
    rows = [
        {"input_ids": turn.input_ids, "labels": turn.labels, "example_id": str(number)}
        for number, turn in enumerate(turns)
        if isinstance(turn, EncodedTurn)
    ]
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    parameters = TrainParameters(
        model_name=str(options.folder / "model"), batch_size="auto", effective_batch_size=options.batch_size, num_epochs=1,
        learning_rate=2e-4, lr_scheduler_type="linear", warmup_ratio=0.0, save_strategy="no", max_memory_gb=8.0, eval_strategy="no",
    )  # fmt: skip
    lengths = [len(row["input_ids"]) for row in rows]
    config = AutoConfig.from_pretrained(str(options.folder / "model"))
    cap = apply_memory_cap(parameters.max_memory_gb, MemoryMeter(device))
    plan = plan_training(parameters, config, lengths, cap, device)
    model = attach_lora(
        load_quantized_model(
            source, compute_dtype=compute_dtype_for(parameters, device), device=device,
            attn_implementation=register_packed_attention(),
        ),
        r=16,
        alpha=32,
    )  # fmt: skip
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ends: list[float] = []

    class Clock(Reporter):
        def log_metrics(self, metrics: dict[str, float], step: int) -> None:
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as checkpoints:
        report = Trainer(model, rows, [], parameters, plan, Clock(), Path(checkpoints)).run()
    skip = min(options.untimed, len(ends) - 1)
    tokens = sum(lengths)
    timed = len(ends) - skip
    return {
        "system": "qwen_pipeline", "rows": len(rows), "tokens": tokens, "steps": len(ends), "plan": str(plan.policy),
        "micro_batch": [plan.max_rows, plan.max_tokens],
        "tokens_per_second": round(tokens * timed / len(ends) / (ends[-1] - ends[skip - 1]), 1),
        "losses": [None if loss is None else round(loss, 4) for loss in report["losses"]],  # of a step left out
        "peak_rss_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3),
        "rss_after_load_gib": round(loaded / 2**20, 3),
    }  # fmt: skip


def summarise(options: argparse.Namespace, results: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    table = {name: figures_of(runs) for name, runs in results.items()}
    peers = {name: row for name, row in table.items() if name != "qwen_pipeline" and row["tokens_per_second"]}
    best = max(peers, key=lambda name: peers[name]["tokens_per_second"][1], default=None)
    summary: dict[str, Any] = {
        "settings": vars(options) | {"one": None, "compute_dtype": compute_dtype()},
        "machine": machine(),
        "systems": table,
    }
    if best:
        own = table["qwen_pipeline"]
        summary["best_peer"] = best
        summary["speed_ratio"] = round(own["tokens_per_second"][1] / peers[best]["tokens_per_second"][1], 2)
        summary["memory_ratio"] = round(own["peak_rss_gib"][1] / peers[best]["peak_rss_gib"][1], 2)
    return json.loads(json.dumps(summary, default=str))  # type: ignore[no-any-return]


def figures_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Lowest, median and highest of each figure; the losses of the first run."""
    good = [run for run in runs if "tokens_per_second" in run]
    figures: dict[str, Any] = {
        "failures": [run["error"] for run in runs if "error" in run],
        "tokens_per_second": None,
    }
    for name in ("tokens_per_second", "peak_rss_gib", "rss_after_load_gib") if good else ():
        values = sorted(run[name] for run in good)
        figures[name] = [values[0], round(statistics.median(values), 3), values[-1]]
    if good:
        figures |= {
            key: good[0].get(key) for key in ("losses", "plan", "micro_batch", "tokens") if key in good[0]
        }
    return figures


def machine() -> dict[str, Any]:
    import bitsandbytes
    import peft
    import torch
    import transformers

    versions = {module.__name__: module.__version__ for module in (torch, transformers, peft, bitsandbytes)}
    return {
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **versions,
    }


if __name__ == "__main__":
    main()
