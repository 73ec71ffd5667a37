"""One peer trains on the rows of the benchmark and prints one line; `gpu_peers.py` runs it.

    python benchmarks/gpu_peer.py --system "trl, packed" --cap 16 [--tiny] [--config DIRECTORY]

The model has random weights and PEFT's own adapters, not this project's fused layers. Rate and loss are those of the peer's own
trainer, the first optimiser step left out. It trains once a line comes in.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

from gpu_source import find_package

STEPS, ROWS_A_MICRO_BATCH = 4, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--system", required=True)
    parser.add_argument("--cap", type=float, required=True, help="GiB; lifted if the peer does not fit")
    parser.add_argument("--config")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    find_package()
    if options.system == "unsloth":
        import unsloth  # noqa: F401  It changes the others, so it comes before them.
    print("RESULT " + json.dumps(measure(options)), flush=True)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Train under the cap, and without it if that does not fit."""
    from bench_train_gpu import find_device, read_config
    from gpu_grid import measure_cap, set_fraction
    from gpu_model import ran_out_of_memory
    from gpu_throughput import chat_rows

    from qwen_pipeline.memory.recovery import release_memory

    device, config = find_device(options.tiny), read_config(options.config, options.tiny)
    rows = chat_rows(config, options.tiny)
    with tempfile.TemporaryDirectory() as folder:
        measure_cap(options.cap, device)
        for capped in (True, False):
            try:
                return {"capped": capped, **train(options.system, config, rows, device, folder)}
            except Exception as error:
                if not ran_out_of_memory(error):
                    raise
            release_memory()
            set_fraction(1.0, device)
    return {"did_not_fit": True}


def train(system: str, config: Any, rows: Any, device: Any, folder: str) -> dict[str, Any]:
    """One training of some optimiser steps; rate, losses and peak."""
    import torch
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        ends: list[float] = []

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if device.type == "cuda":
                torch.cuda.synchronize()
            self.ends.append(time.perf_counter())

    clock = Clock()
    clock.ends = []
    trainer = build_trainer(system, config, rows, device, folder)
    trainer.add_callback(clock)
    wait_for_turn()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    trainer.train()
    tokens = STEPS * sum(label != -100 for row in rows for label in row["labels"][1:])
    timed = len(clock.ends) - 1
    return {
        "tokens_per_second": tokens * timed / len(clock.ends) / (clock.ends[-1] - clock.ends[0]),
        "steps": len(clock.ends),
        "losses": [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry],
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else None,
    }


@cache
def wait_for_turn() -> None:
    """Say that all is ready and wait for a line, once."""
    print("READY", flush=True)
    sys.stdin.readline()


def build_trainer(system: str, config: Any, rows: Any, device: Any, folder: str) -> Any:
    """The peer's trainer over the rows, repeated for every optimiser step."""
    data = [{"input_ids": row["input_ids"], "labels": row["labels"]} for row in [*rows] * STEPS]
    settings = common_settings(system, rows, device, folder)
    if system == "unsloth":
        return unsloth_trainer(config, data, device, folder, settings)
    model = peft_model(config, device, keeps=system.endswith("kept"))
    if system.startswith("trl"):
        return trl_trainer(model, data, settings, packs=system.endswith("packed"))
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    if "grouped" in system:
        settings |= {"train_sampling_strategy": "group_by_length"}
    collator = DataCollatorForSeq2Seq(make_tokenizer(), label_pad_token_id=-100)
    return Trainer(
        model=model, args=TrainingArguments(**settings), train_dataset=data, data_collator=collator
    )


def common_settings(system: str, rows: Any, device: Any, folder: str) -> dict[str, Any]:
    """What every trainer is given: an optimiser step has the tokens of all rows of the benchmark."""
    lengths = [len(row["input_ids"]) for row in rows]
    packs = system == "trl, packed"
    accumulation = round(sum(lengths) / max(lengths)) if packs else len(rows) // ROWS_A_MICRO_BATCH
    checkpointing = not system.endswith("kept")
    on_gpu = device.type == "cuda"
    return {
        "output_dir": folder, "per_device_train_batch_size": 1 if packs else ROWS_A_MICRO_BATCH,
        "gradient_accumulation_steps": max(1, accumulation), "num_train_epochs": 1, "bf16": True, "learning_rate": 1e-4,
        "gradient_checkpointing": checkpointing, "gradient_checkpointing_kwargs": {"use_reentrant": False} if checkpointing else None,
        "optim": "paged_adamw_8bit" if on_gpu else "adamw_torch", "logging_steps": 1, "report_to": [], "save_strategy": "no",
        "use_cpu": not on_gpu, "dataloader_pin_memory": on_gpu, "disable_tqdm": True,
    }  # fmt: skip


def peft_model(config: Any, device: Any, keeps: bool) -> Any:
    """The 4-bit base as the usual recipe prepares it, with PEFT's adapters on all linear layers."""
    import torch
    from gpu_model import build_base
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    base = prepare_model_for_kbit_training(
        build_base(config, device, torch.bfloat16), use_gradient_checkpointing=not keeps,
        gradient_checkpointing_kwargs={"use_reentrant": False},
    )  # fmt: skip
    adapters = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(base, adapters)


def trl_trainer(model: Any, data: Any, settings: dict[str, Any], packs: bool) -> Any:
    """TRL's trainer on rows that are tokens already."""
    from trl import SFTConfig, SFTTrainer

    from datasets import Dataset

    arguments = SFTConfig(**settings, max_length=longest_of(data), packing=packs)
    table = Dataset.from_list(data)
    return SFTTrainer(model=model, args=arguments, train_dataset=table, processing_class=make_tokenizer())


def unsloth_trainer(config: Any, data: Any, device: Any, folder: str, settings: dict[str, Any]) -> Any:
    """Unsloth's model under TRL's trainer; it loads from a folder, so random weights are written to one."""
    import torch
    from transformers import AutoModelForCausalLM
    from unsloth import FastLanguageModel

    with device, default_dtype(torch.bfloat16):
        AutoModelForCausalLM.from_config(config).save_pretrained(f"{folder}/base")
    make_tokenizer().save_pretrained(f"{folder}/base")
    model, _ = FastLanguageModel.from_pretrained(
        f"{folder}/base", max_seq_length=longest_of(data), load_in_4bit=True
    )
    model = FastLanguageModel.get_peft_model(model, r=16, lora_alpha=32, use_gradient_checkpointing="unsloth")
    return trl_trainer(model, data, settings, packs=False)


def longest_of(rows: Any) -> int:
    """Tokens of the longest row."""
    return max(len(row["input_ids"]) for row in rows)


@contextlib.contextmanager
def default_dtype(dtype: Any) -> Iterator[None]:
    """New tensors are of this dtype while the block runs."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def make_tokenizer() -> Any:
    """A tokenizer for trainers that want one: it only pads."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({"<pad>": 0, "<end>": 1}, unk_token="<pad>"))
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<end>")


if __name__ == "__main__":
    main()
