from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
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


def test_no_reading_leaves_grouped_heads_to_a_kernel_that_float32_does_not_have_on_a_card(
    base_folder: Path, adapter_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, attend = list[bool](), torch.nn.functional.scaled_dot_product_attention

    def note(query: Tensor, key: Tensor, *others: Any, **options: Any) -> Tensor:
        asked.append(query.shape[1] == key.shape[1])
        return attend(query, key, *others, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", note)
    rows, config = rows_of(base_folder), AutoConfig.from_pretrained(base_folder)
    base = load_quantized_model(ModelSource(str(base_folder)), compute_dtype=torch.float32)
    read_model(load_adapter(base, adapter_folder), rows)
    weights = MergedWeights(base_folder, AdapterWeights(adapter_folder), "4-bit")
    read_streamed(config, weights, rows, torch.device("cpu"))
    assert config.num_key_value_heads < config.num_attention_heads
    assert len(asked) == 2 * len(rows) * config.num_hidden_layers
    assert all(asked)
