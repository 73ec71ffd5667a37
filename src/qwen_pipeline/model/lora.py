"""Attach, save and load LoRA adapters: float32, initialised from a seed, written the same way every time."""

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import PreTrainedModel

from qwen_pipeline.errors import CheckpointError, ParameterError
from qwen_pipeline.model.dropout import switch_dropout_off
from qwen_pipeline.model.source import ModelSource

ALL_LINEAR = ("down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj")
_ADAPTER_CONFIG = "adapter_config.json"


def attach_lora(
    model: PreTrainedModel,
    *,
    r: int,
    alpha: float,
    dropout: float = 0.0,
    target_modules: Sequence[str] = ALL_LINEAR,
    seed: int = 42,
    **variant: Any,
) -> PeftModel:
    """Put trainable low-rank adapters beside frozen linear layers.

    Args:
        model: A frozen model, quantised or not.
        r: Rank of the adapters.
        alpha: Their scale is ``alpha / r`` (``alpha / sqrt(r)`` with rank-stabilised LoRA).
        dropout: On the adapters' input while training.
        target_modules: Names of the linear layers.
        seed: The adapters' initial values depend on nothing else; the global generator is not moved.
        **variant: ``use_rslora``, ``use_dora`` and what else ``peft.LoraConfig`` takes.

    Returns:
        The model with adapters in float32 and everything else frozen.

    Raises:
        ParameterError: A name in ``target_modules`` is no linear layer of the model.
    """
    _require_targets(model, target_modules)
    config = LoraConfig(
        r=r,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=sorted(target_modules),
        bias="none",
        task_type="CAUSAL_LM",
        **variant,
    )
    _fuse(model, config)
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        adapted: PeftModel = get_peft_model(model, config, autocast_adapter_dtype=True)
    return adapted


def load_adapter(model: PreTrainedModel, path: Path) -> PeftModel:
    """Put a saved adapter on its base model, on the base model's device.

    The model stays in training mode, with dropout off: on some CPUs evaluation mode makes bitsandbytes
    repack the weights (see ``load_quantized_model``).

    Raises:
        CheckpointError: The directory holds no adapter, or one of another base model.
    """
    if not (path / _ADAPTER_CONFIG).is_file():
        raise CheckpointError(f"{path} holds no adapter ({_ADAPTER_CONFIG} is missing); run the train stage.")
    config = LoraConfig.from_pretrained(str(path))
    _fuse(model, config)
    try:
        adapted: PeftModel = PeftModel.from_pretrained(
            model, str(path), config=config, torch_device=str(model.device)
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise CheckpointError(
            f"The adapter in {path} does not fit the base model (hidden size {model.config.hidden_size}, "
            f"{model.config.num_hidden_layers} layers); set model_name to the one it was trained "
            f"on. ({str(error).strip().splitlines()[0]})"
        ) from error
    adapted.train()
    switch_dropout_off(adapted)
    return adapted


def require_base(path: Path, source: ModelSource) -> None:
    """Refuse an adapter of another base model of the same shape, which would load and answer nonsense.

    A model may have been moved or copied, so its name decides, and not its folder; a hub's model may lie in a folder.

    Args:
        path: The adapter's folder.
        source: The base that it is to be put on.

    Raises:
        CheckpointError: It was trained on another base.
    """
    trained_on = str(LoraConfig.from_pretrained(str(path)).base_model_name_or_path or "")
    own = source.reference()
    if not trained_on or Path(trained_on).name == Path(own).name:
        return
    if Path(trained_on).is_dir() or (source.kind == "hub" and not Path(trained_on).is_absolute()):
        raise CheckpointError(
            f"The adapter in {path} was trained on {trained_on}, and model_name={source.name} is another base; "
            f"use the --env of that training, or --params model_name={trained_on}."
        )


def _fuse(model: PreTrainedModel, config: LoraConfig) -> None:
    """Where the model is in 4 bits let peft make the fused layers, and let the others keep little for backward."""
    if getattr(model, "is_loaded_in_4bit", False):
        from qwen_pipeline.model.fused_lora import use_fused_lora
        from qwen_pipeline.model.lean_layers import use_lean_layers

        use_fused_lora(config)
        use_lean_layers(model)


def save_adapter(model: PeftModel, directory: Path, base_name: str | None = None) -> None:
    """Write an adapter so that equal weights give equal bytes.

    Args:
        model: The adapted model.
        directory: Receives ``adapter_model.safetensors`` and ``adapter_config.json``.
        base_name: Base model to name in the configuration; None keeps the path it was loaded from.

    Source: peft 0.21 writes ``target_modules`` from a set, in an order that changes by process.
    """
    model.save_pretrained(str(directory), safe_serialization=True, save_embedding_layers=False)
    path = directory / _ADAPTER_CONFIG
    config = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(config.get("target_modules"), list):
        config["target_modules"] = sorted(config["target_modules"])
    if base_name is not None:
        config["base_model_name_or_path"] = base_name
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (directory / "README.md").unlink(missing_ok=True)


def _require_targets(model: nn.Module, names: Sequence[str]) -> None:
    linear = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and "lm_head" not in name
    }
    for name in names:
        if name not in linear:
            close = difflib.get_close_matches(name, sorted(linear), n=1, cutoff=0.4)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise ParameterError(
                f"target_modules={name}: the model has no such linear layer; it has "
                f"{', '.join(sorted(linear))}.{hint}"
            )
