"""A step over two processes is the step of one."""

import os
import socket
import subprocess
import sys
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

SCRIPT = Path(__file__).with_name("rank_of_a_step.py")


def run_ranks(count: int, model: Path, folder: Path) -> list[Path]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    started = []
    for rank in range(count):
        ranks = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)} if count > 1 else {}
        environment = {**os.environ, **ranks, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        command = [sys.executable, str(SCRIPT), str(model), str(folder / "checkpoints"), str(folder)]
        started.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    for process in started:
        errors = process.communicate(timeout=240)[1]
        assert process.returncode == 0, errors
    return [folder / f"{rank}-of-{count}.pt" for rank in range(count)]


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


@pytest.mark.slow
def test_two_processes_take_the_step_of_one(tiny: Path, tmp_path: Path) -> None:
    single, *ranks = (
        torch.load(path, weights_only=False)
        for path in (*run_ranks(1, tiny, tmp_path), *run_ranks(2, tiny, tmp_path))
    )
    for result, gradient in ranks:
        assert result.loss == pytest.approx(single[0].loss, rel=1e-5)
        assert result.norm == pytest.approx(single[0].norm, rel=1e-5)
        assert (result.trained_tokens, result.tokens) == (single[0].trained_tokens, single[0].tokens)
        assert float((gradient - single[1]).norm() / single[1].norm()) <= 1e-5
