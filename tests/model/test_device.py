"""Which dtype products are computed in, and by how many threads."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from qwen_pipeline.model import device
from qwen_pipeline.model.device import fast_dtype
from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.training.precision import compute_dtype_for


@pytest.fixture(autouse=True)
def forget_the_answer() -> Iterator[None]:
    fast_dtype.cache_clear()
    yield
    fast_dtype.cache_clear()


@pytest.mark.parametrize(("has_it", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_cpu_computes_in_bfloat16_only_where_it_has_it(
    has_it: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "_cpu_has_bfloat16", lambda: has_it)
    assert fast_dtype("cpu") == dtype
    assert compute_dtype_for(TrainParameters(), torch.device("cpu")) == dtype
    assert compute_dtype_for(TrainParameters(fp16=True, bf16=False), torch.device("cpu")) == torch.float16
    assert compute_dtype_for(TrainParameters(bf16=False), torch.device("cpu")) == torch.float32


@pytest.mark.parametrize(("has_it", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_an_older_card_computes_in_float16(
    has_it: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_it)
    assert fast_dtype("cuda") == dtype


def test_the_answer_of_this_cpu_is_that_of_its_library() -> None:
    assert device._cpu_has_bfloat16() == torch.ops.mkldnn._is_mkldnn_bf16_supported()


def test_a_card_always_has_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The allocator's limit is set for a card by its number, and accelerate names the only card without one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 2)
    for given, wanted in ((torch.device("cuda"), "cuda:2"), (torch.device("cuda", 1), "cuda:1")):
        monkeypatch.setattr(device, "PartialState", lambda given=given, **_: SimpleNamespace(device=given))
        assert str(device.compute_device()) == wanted


def test_a_wide_model_takes_no_more_threads_than_the_container_has_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr(device, "usable_cores", lambda: 2)
    with device.threads_for(4096):
        assert asked == [2]
    assert asked == [2, 16]
