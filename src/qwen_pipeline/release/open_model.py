"""Base, tuned and exported models for a conversation, on the device that training uses.

Base and tuned share one set of 4-bit weights: with its adapter switched off, the tuned model is the base. No
model is put into evaluation mode: on some CPUs bitsandbytes repacks the weights at the first such forward (see
``load_quantized_model``); dropout is off all the same.
"""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from qwen_pipeline.errors import ExportError
from qwen_pipeline.memory.place import keep_to_cap, place_for
from qwen_pipeline.model.device import compute_device, fast_dtype, threads_for
from qwen_pipeline.model.load import load_quantized_model
from qwen_pipeline.model.lora import load_adapter, require_base
from qwen_pipeline.model.merge import StoredWeights
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.model.tokenizer import load_tokenizer


@dataclass(frozen=True)
class OpenModel:
    """A model that can answer.

    Attributes:
        model: A causal model.
        tokenizer: Its tokenizer.
        speaking: Entered while it answers: threads, and the adapter switched off for the base.
    """

    model: Any
    tokenizer: Any
    speaking: Callable[[], AbstractContextManager[Any]]


def open_models(
    source: ModelSource,
    sides: Sequence[str],
    adapter: Path | None = None,
    exported_model: Path | None = None,
    max_memory_gb: float = math.inf,
) -> dict[str, OpenModel]:
    """Load what the sides need, each set of weights once.

    Args:
        source: The base model.
        sides: Any of ``base``, ``tuned`` and ``exported``, in the order wanted.
        adapter: Folder of the adapter, for ``tuned``.
        exported_model: Folder of the export, for ``exported``; where it does not fit on the card, it answers on the CPU.
        max_memory_gb: Cap of the process's GPU memory, GiB.

    Raises:
        MemoryPlanError: The cap leaves nothing of the card.
        CheckpointError: The adapter does not fit the base model, or was trained on another.
        ExportError: The export holds no weights that can be loaded here.
    """
    if not sys.stderr.isatty():
        transformers_logging.disable_progress_bar()
    device = compute_device()
    keep_to_cap(max_memory_gb, device)
    opened: dict[str, OpenModel] = {}
    if adapter is not None:
        require_base(adapter, source)
    if {"base", "tuned"} & set(sides):
        model: Any = load_quantized_model(source, device=device)
        tokenizer = load_tokenizer(source)
        if adapter is not None:
            model = load_adapter(model, adapter)
        width = model.config.hidden_size
        switch_off = adapter is not None
        opened["base"] = OpenModel(model, tokenizer, lambda: _speaking(width, model, switch_off))
        opened["tuned"] = OpenModel(model, tokenizer, lambda: _speaking(width, model, False))
    if "exported" in sides:
        assert exported_model is not None
        opened["exported"] = _open_exported(exported_model, device)
    return {side: opened[side] for side in sides}


def _open_exported(folder: Path, device: torch.device) -> OpenModel:
    merged = folder / "merged"
    if not merged.is_dir():
        found = ", ".join(sorted(path.name for path in folder.iterdir() if path.is_dir())) or "nothing"
        raise ExportError(
            f"{folder} holds {found}, and chat opens merged weights; run: kedro run --pipeline export "
            "--params export_formats=adapter+merged"
        )
    needed = 2 * StoredWeights(merged).numbers
    device = place_for(needed, device, "The exported model") or torch.device("cpu")
    model = AutoModelForCausalLM.from_pretrained(
        str(merged), dtype=fast_dtype(device.type), device_map={"": device}
    )
    tokenizer = AutoTokenizer.from_pretrained(str(merged))
    width = model.config.hidden_size
    return OpenModel(model, tokenizer, lambda: _speaking(width, model, False))


@contextmanager
def _speaking(hidden_size: int, model: Any, adapter_off: bool) -> Iterator[None]:
    with threads_for(hidden_size), model.disable_adapter() if adapter_off else nullcontext():
        yield
