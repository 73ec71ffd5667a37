from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

import datasets
from model.tiny_model import write_reduced_model, write_tiny_model
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.params.tokenize import TokenizeParameters
from qwen_pipeline.pipelines.tokenize import create_pipeline
from qwen_pipeline.pipelines.tokenize.nodes import tokenize_examples
from qwen_pipeline.text.schema import CLEAN_SCHEMA


@pytest.fixture
def examples(tmp_path: Path) -> pads.Dataset:
    turns = [
        {"role": "user", "content": "one two three " * 20},
        {"role": "assistant", "content": "It is four."},
    ]
    row = {
        "example_id": "a",
        "messages": turns,
        "source_file": "faq.md",
        "source_line": 1,
        "encoding": "utf-8",
        "encoding_confidence": 1.0,
        "repairs": [],
        "split": "train",
    }
    pq.write_table(pa.Table.from_pylist([row], schema=CLEAN_SCHEMA), tmp_path / "clean.parquet")
    return pads.dataset(tmp_path / "clean.parquet")


def test_the_stage_reads_and_writes_the_contracts_datasets() -> None:
    pipeline = create_pipeline()
    assert pipeline.inputs() == {"clean_examples", "base_model", "params:tokenize"}
    assert pipeline.all_outputs() == {
        "tokenized_train",
        "tokenized_validation",
        "tokenized_test",
        "tokenize_rejects",
        "tokenize_report",
        "token_page",
    }


def test_a_run_says_in_one_line_what_it_kept_rejected_and_trains(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    turns = [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "That."}]
    wide = [turns[0], {"role": "assistant", "content": "word " * 200}]
    rows = [
        {
            "example_id": str(at),
            "messages": messages,
            "source_file": "faq.md",
            "source_line": at,
            "split": split,
        }
        for at, (messages, split) in enumerate([(turns, "train"), (wide, "train"), (wide, "test")])
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=CLEAN_SCHEMA), tmp_path / "clean.parquet")
    model = ModelSource(str(write_tiny_model(tmp_path / "model")))
    with caplog.at_level("INFO"):
        *_, report = tokenize_examples(
            pads.dataset(tmp_path / "clean.parquet"), model, TokenizeParameters(max_sequence_length=64)
        )
    trained = report["splits"]["train"]["trained_tokens"]
    assert trained > 0
    assert caplog.messages == [
        "kept 1 of 3 examples, rejected 2 (answer_too_long 2; see tokenize_rejects); "
        f"{trained} trained tokens"
    ]


def test_each_parameter_reaches_the_rows(examples: pads.Dataset, tmp_path: Path) -> None:
    model = ModelSource(str(write_tiny_model(tmp_path / "model")))

    def rows(**values: object) -> list[int]:
        train, *_ = tokenize_examples(examples, model, TokenizeParameters.model_validate(values))
        row = datasets.load_from_disk(str(train))[0]
        return [*row["input_ids"], *row["labels"]]

    whole = rows()
    short = rows(max_sequence_length=60)
    assert len(short) <= 120 < len(whole)
    assert rows(max_sequence_length=60, tokenizer_kwargs={"truncation_side": "right"}) != short
    assert rows(thinking="masked") != whole
    cut = rows(max_sequence_length=40, answer_overflow="cut")
    assert len(cut) <= 80


@pytest.mark.slow
def test_the_real_configuration_at_reduced_depth_learns_through_its_own_tokenizer(
    examples: pads.Dataset, shared_dir: Path, tmp_path: Path
) -> None:
    """Folder → rows → NF4 → LoRA → loss falls, with the real vocabulary of 151,936."""
    import torch

    from qwen_pipeline.model.load import load_quantized_model
    from qwen_pipeline.model.lora import attach_lora

    folder = write_reduced_model(shared_dir / "qwen3-4b-thinking-2507", tmp_path / "model", layers=2)
    source = ModelSource(str(folder))
    train, *_ = tokenize_examples(examples, source, TokenizeParameters(model_name=str(folder)))
    row = datasets.load_from_disk(str(train))[0]
    model = attach_lora(load_quantized_model(source), r=8, alpha=16)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(8):
        loss = model(torch.tensor([row["input_ids"]]), labels=torch.tensor([row["labels"]])).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]
