"""Which architectures this project trains, decided from ``config.json`` alone."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from qwen_pipeline.errors import UnsupportedModelError

# Decoder-only models with the seven projections q, k, v, o, gate, up and down, rotary positions and one
# head: what the packed forward, the fused loss and the default LoRA targets are written for.
SUPPORTED_ARCHITECTURES = ("Qwen3ForCausalLM", "Qwen2ForCausalLM", "LlamaForCausalLM")


def require_supported(config: Mapping[str, Any], name: str) -> None:
    """Accept a model by its configuration, before anything large is read.

    Args:
        config: The content of ``config.json``.
        name: The model's name, for the message.

    Raises:
        UnsupportedModelError: The architecture, its quantisation or its attention is not one we train.
    """
    found = tuple(config.get("architectures") or ())
    model_type = config.get("model_type")
    if not any(architecture in SUPPORTED_ARCHITECTURES for architecture in found):
        raise UnsupportedModelError(
            f"model_name={name}: model type {model_type!r}, architecture {', '.join(found) or 'none named'} "
            f"cannot be trained here; supported: {', '.join(SUPPORTED_ARCHITECTURES)} "
            f"(installed: {_installed('transformers', 'torch', 'peft')}). "
            "Set model_name to a text-only Qwen3 such as Qwen/Qwen3-4B-Thinking-2507."
        )
    if config.get("quantization_config"):
        method = config["quantization_config"].get("quant_method", "unknown")
        raise UnsupportedModelError(
            f"model_name={name}: the weights are already quantised ({method}), and 4-bit training starts "
            "from 16-bit weights; use the plain model (the name without -FP8, -AWQ, -GPTQ or -bnb-4bit)."
        )
    if config.get("use_sliding_window"):
        raise UnsupportedModelError(
            f"model_name={name}: use_sliding_window is on (model type {model_type!r}), and packed training "
            "attends to the whole row; set use_sliding_window to false in its config.json."
        )


def _installed(*packages: str) -> str:
    return ", ".join(f"{package} {_version_of(package)}" for package in packages)


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
