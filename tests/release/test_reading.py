from pathlib import Path

import pytest
import torch
from transformers import AutoConfig

from model.tiny_model import load_plain_model
from qwen_pipeline.model.load import load_quantized_model
from qwen_pipeline.model.lora import load_adapter
from qwen_pipeline.model.merge import AdapterWeights, MergedWeights
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.release.reading import LogitReading, distance, read_model, targets_of
from qwen_pipeline.release.streamed import read_streamed
from release.tiny_export import rows_of


def test_kl_loss_and_choice_are_those_of_the_formulas() -> None:
    p = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    q = torch.tensor([[0.0, 2.0, 0.0], [0.0, 1.0, 0.0]])
    targets = torch.tensor([0, 1])
    found = distance(LogitReading(p), LogitReading(q), targets)
    expected = torch.nn.functional.kl_div(
        q.log_softmax(-1), p.log_softmax(-1), log_target=True, reduction="batchmean"
    )
    assert found.mean_kl == pytest.approx(float(expected))
    assert found.loss == pytest.approx(float(torch.nn.functional.cross_entropy(q, targets)))
    live_loss = float(torch.nn.functional.cross_entropy(p, targets))
    assert found.loss_difference == pytest.approx(found.loss - live_loss)
    assert found.same_token == 0.5
    assert found.max_logit_difference == 2.0


def test_a_reading_is_the_models_logits_at_the_trained_tokens(base_folder: Path) -> None:
    model = load_plain_model(ModelSource(str(base_folder)), dtype=torch.float32)
    rows = rows_of(base_folder)
    reading = read_model(model, rows)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([rows[0]["input_ids"]])).logits[0, :-1]
    first = logits[torch.tensor(rows[0]["labels"][1:]) >= 0]
    torch.testing.assert_close(reading.logits(0, len(first)), first)
    assert len(reading) == len(targets_of(rows))


def test_weights_streamed_by_layer_read_like_the_whole_model(base_folder: Path, adapter_folder: Path) -> None:
    rows = rows_of(base_folder)
    base = load_quantized_model(ModelSource(str(base_folder)), compute_dtype=torch.float32)
    whole = read_model(load_adapter(base, adapter_folder), rows)
    weights = MergedWeights(base_folder, AdapterWeights(adapter_folder), "4-bit")
    config = AutoConfig.from_pretrained(base_folder)
    streamed = read_streamed(config, weights, rows, torch.device("cpu"))
    found = distance(whole, streamed, targets_of(rows))
    assert found.max_logit_difference < 1e-3
    assert found.mean_kl < 1e-6
