"""Load a model with its linear layers in 4 bits.

NF4 with double quantisation, on CUDA and on CPU; head, embeddings and norms stay in the compute
dtype. Nothing is cast to float32 as ``prepare_model_for_kbit_training`` would do.
"""

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from qwen_pipeline.errors import ModelSourceError
from qwen_pipeline.model.device import fast_dtype
from qwen_pipeline.model.quantization import require_quantization
from qwen_pipeline.model.source import ModelSource


def load_quantized_model(
    source: ModelSource,
    *,
    compute_dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    attn_implementation: str = "sdpa",
) -> PreTrainedModel:
    """The model with every linear layer but the head in NF4.

    Args:
        source: The base model.
        compute_dtype: Dtype of products, head, embeddings and norms; by default what is fast on the device.
        device: Where all of it goes; layers are quantised one by one on the way there.
        attn_implementation: Name of an attention of transformers.

    Returns:
        A frozen model in training mode with dropout off by construction (see the trap below).

    Raises:
        QuantizationError: bitsandbytes is missing or unusable here; found before anything is loaded.
        ModelSourceError: The weights cannot be read.

    Note:
        Never call ``.eval()`` on a model that trains on: bitsandbytes on CPUs with avx512_bf16 repacks the
        weights in place at the first forward in evaluation mode, and gradients are wrong from then on.
        Source: tried with bitsandbytes 0.50; can go when the repacking keeps the original.
    """
    place = torch.device(device)
    compute_dtype = compute_dtype or fast_dtype(place.type)
    require_quantization(place)
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype,
    )
    directory = source.directory()
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            directory,
            dtype=compute_dtype,
            quantization_config=quantization,
            device_map={"": place},
            attn_implementation=attn_implementation,
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ModelSourceError(
            f"model_name={source.name}: the weights in {directory} cannot be loaded ({error}). "
            "If a file there was cut short or changed, remove it and download it again."
        ) from error
    if place.type == "cpu":
        _leave_files(model)
    model.requires_grad_(False)
    model.config.use_cache = False
    return model.train()


def _leave_files(model: nn.Module) -> None:
    """Copy what was not quantised out of the mapped files: one norm keeps a whole file of 4 GB resident."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():  # quantised weights are bytes, and are the model's own already
            tensor.data = tensor.data.clone()
