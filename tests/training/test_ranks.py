"""The shares of a step's rows, and what several processes may not be."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qwen_pipeline.chat.packing import count_tokens
from qwen_pipeline.errors import EnvironmentProblemError, NoExamplesError
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.training.ranks import deal, require_own_launch
from qwen_pipeline.training.session import train_tracked


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("WORLD_SIZE", "2", "2 processes"),
        ("PMI_SIZE", "2", r"PMI_SIZE=2"),
        ("OMPI_COMM_WORLD_SIZE", "4", r"OMPI_COMM_WORLD_SIZE=4"),
        ("MV2_COMM_WORLD_SIZE", "2", r"MV2_COMM_WORLD_SIZE=2"),
        ("ACCELERATE_USE_FSDP", "true", "FSDP"),
        ("ACCELERATE_USE_DEEPSPEED", "1", "DeepSpeed"),
    ],
)
def test_a_training_in_several_processes_is_refused_before_any_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(EnvironmentProblemError, match=f"{told}.*without torchrun.*num_processes=2"):
        train_tracked([], [], ModelSource("demo"), TrainParameters(), {}, tmp_path, tmp_path)


def test_one_process_is_no_reason_to_refuse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    with pytest.raises(NoExamplesError):
        train_tracked([], [], ModelSource("demo"), TrainParameters(), {}, tmp_path, tmp_path)


def test_more_processes_than_cards_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    require_own_launch(2)
    with pytest.raises(EnvironmentProblemError, match=r"num_processes=3.*sees 2 .*num_processes=2, or"):
        require_own_launch(3)


@given(lengths=st.lists(st.integers(1, 4096), max_size=60), shares=st.integers(1, 8))
def test_shares_hold_every_row_once_and_are_even(lengths: list[int], shares: int) -> None:
    rows = [{"input_ids": range(length), "example_id": number} for number, length in enumerate(lengths)]
    dealt = deal(rows, shares)
    assert sorted(row["example_id"] for share in dealt for row in share) == list(range(len(rows)))
    tokens = [count_tokens(share) for share in dealt]
    assert max(tokens) - min(tokens) <= max(lengths, default=0)
    assert dealt == deal(rows, shares)
