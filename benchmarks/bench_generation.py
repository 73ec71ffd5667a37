"""Answers in batches against one by one, and the likelihood against the training forward, on the demo model.

python benchmarks/bench_generation.py [--questions 32] [--new-tokens 32] [--repetitions 5] > result.json
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from qwen_pipeline.chat.packing import pack, split_rows
from qwen_pipeline.evaluation.general import general_conversations, general_rows
from qwen_pipeline.evaluation.generation import answer_questions
from qwen_pipeline.evaluation.likelihood import MICRO_BATCH_TOKENS, score_rows
from qwen_pipeline.model.attention import packed_hidden_states, register_packed_attention
from qwen_pipeline.model.device import autocast, compute_device, threads_for
from qwen_pipeline.model.load import load_quantized_model
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.model.tokenizer import load_tokenizer
from qwen_pipeline.params.evaluate import GenerationConfig


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="demo")
    parser.add_argument("--questions", type=int, default=32)
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    source, device = ModelSource(options.model), compute_device()
    model = load_quantized_model(source, device=device, attn_implementation=register_packed_attention())
    tokenizer = load_tokenizer(source, padding_side="left")
    conversations = (general_conversations(24) * 2)[: options.questions]
    rows = (general_rows(tokenizer, general_conversations(24)) * 8)[:160]
    generation = GenerationConfig(max_new_tokens=options.new_tokens).model_dump() | {
        "min_new_tokens": options.new_tokens
    }

    def answer(batch_size: int) -> Callable[[], Any]:
        asked = [turns[:-1] for turns in conversations]
        return lambda: answer_questions(
            model, tokenizer, asked, generation=generation, batch_size=batch_size, seed=0
        )

    runs = {
        "one_by_one": answer(1),
        "batched": answer(options.questions),
        "likelihood": lambda: score_rows(model, tokenizer, rows),
        "forward": lambda: forward(model, rows, device),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    with threads_for(model.config.hidden_size):
        for repetition in range(options.repetitions + 1):
            for name, run in runs.items():
                start = time.perf_counter()
                run()
                if repetition:
                    seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(json.dumps({
        "options": vars(options), "torch": torch.__version__, "seconds": seconds,
        "batched_speedup": medians["one_by_one"] / medians["batched"],
        "likelihood_speed_of_forward": medians["forward"] / medians["likelihood"],
    }, indent=1))  # fmt: skip


@torch.no_grad()
def forward(model: Any, rows: list[dict[str, Any]], device: torch.device) -> None:
    """The training forward up to the head's input, plus the head on the labelled rows in chunks."""
    from qwen_pipeline.memory.chunked_loss import linear_cross_entropy

    head = model.get_output_embeddings().weight
    for part in split_rows(rows, len(rows), MICRO_BATCH_TOKENS):
        batch = pack(part, device)
        with autocast(device, head.dtype):
            hidden = packed_hidden_states(
                model, batch.input_ids, batch.position_ids, batch.cu_seqlens, batch.row_lengths
            )
            linear_cross_entropy(hidden, head, batch.targets, labelled_rows_N=batch.labelled_rows)


if __name__ == "__main__":
    main()
