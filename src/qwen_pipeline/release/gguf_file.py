"""GGUF files, written tensor by tensor and read back for the gate.

f16 keeps every matrix in half precision, q8_0 in blocks of 32 eight-bit numbers with one scale; norms and biases
stay in float32. The smaller K-quants are made from the f16 file by llama.cpp's own quantiser.
"""

import hashlib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from transformers import PreTrainedTokenizerBase as Tokenizer

from qwen_pipeline.errors import ExportError
from qwen_pipeline.release.gguf_vocabulary import add_vocabulary
from qwen_pipeline.release.streamed import Weights

ARCHITECTURES = {"qwen3": gguf.MODEL_ARCH.QWEN3, "qwen2": gguf.MODEL_ARCH.QWEN2}
_FILE_TYPES = {"f16": gguf.LlamaFileType.MOSTLY_F16, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}
_TYPES = {"f16": gguf.GGMLQuantizationType.F16, "q8_0": gguf.GGMLQuantizationType.Q8_0}


def write_gguf(
    path: Path,
    config: Any,
    weights: Weights,
    tokenizer: Tokenizer,
    kind: str,
    name: str,
    defaults: Mapping[str, Any],
) -> dict[str, str]:
    """Write a model; one tensor is in memory at a time.

    Args:
        path: The file.
        config: The model's configuration.
        weights: Float32 tensors by the names of transformers.
        tokenizer: Goes into the file with its chat template.
        kind: ``f16`` or ``q8_0``.
        name: The model's name in the file.
        defaults: ``generation_config``, recorded as the file's sampling defaults.

    Returns:
        The digest of each tensor's bytes, by the names of transformers.

    Raises:
        ExportError: llama.cpp has no such architecture, or not with these rotary positions.
    """
    names = tensor_names(config, weights)
    writer = gguf.GGUFWriter(None, config.model_type)
    writer.add_name(name)
    writer.add_file_type(_FILE_TYPES[kind])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    _add_shape(writer, config)
    _add_sampling(writer, defaults)
    add_vocabulary(writer, tokenizer, rows=config.vocab_size)
    for source, target in names.items():
        shape = weights.shapes[source]
        stored = _stored_type(shape, kind)
        as_bytes = gguf.quant_shape_to_byte_shape(shape, stored)
        size = int(np.prod(as_bytes)) if stored == _TYPES["q8_0"] else int(np.prod(shape)) * _width(stored)
        writer.add_tensor_info(target, shape, np.dtype(np.float32), size, raw_dtype=stored)
    with closing(writer):
        writer.write_header_to_file(path)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        digests = {}
        for source in names:
            data = gguf.quants.quantize(weights[source].numpy(), _stored_type(weights.shapes[source], kind))
            digests[source] = _digest(data)
            writer.write_tensor_data(data)
    return digests


def tensor_names(config: Any, weights: Weights) -> dict[str, str]:
    """The file's tensor names by those of transformers; a head tied to the embedding is left out.

    Raises:
        ExportError: The architecture or one of its tensors has no place in the format.
    """
    if config.model_type not in ARCHITECTURES:
        raise ExportError(
            f"GGUF files are written for {' and '.join(sorted(ARCHITECTURES))} here, and this model is "
            f"{config.model_type}; set export_formats=adapter+merged."
        )
    known = gguf.get_tensor_name_map(ARCHITECTURES[config.model_type], config.num_hidden_layers)
    names: dict[str, str] = {}
    for name in weights.shapes:
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        found = known.get_name(name, try_suffixes=(".weight", ".bias"))
        if found is None:
            raise ExportError(
                f"{name} has no place in a GGUF file of {config.model_type}; set export_formats=adapter+merged."
            )
        names[name] = found
    return names


class GgufWeights:
    """A GGUF file's tensors, taken back to float32, by the names of transformers."""

    def __init__(self, path: Path, names: Mapping[str, str]) -> None:
        """Open the file.

        Args:
            path: The file.
            names: The file's tensor names by those of transformers.
        """
        self._reader = gguf.GGUFReader(path)
        stored = {tensor.name: tensor for tensor in self._reader.tensors}
        self._tensors = {source: stored[target] for source, target in names.items() if target in stored}
        self.shapes = {
            name: tuple(int(size) for size in reversed(tensor.shape))
            for name, tensor in self._tensors.items()
        }

    def __getitem__(self, name: str) -> torch.Tensor:
        """One tensor, float32."""
        tensor = self._tensors[name]
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        return torch.from_numpy(np.array(values, dtype=np.float32).reshape(self.shapes[name]))

    def digests(self) -> dict[str, str]:
        """The digest of each tensor's bytes."""
        return {name: _digest(tensor.data) for name, tensor in self._tensors.items()}

    def field(self, key: str) -> Any:
        """A value of the metadata, None where there is none."""
        found = self._reader.get_field(key)
        return None if found is None else found.contents()


def _digest(data: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(data).data).hexdigest()


def _add_shape(writer: gguf.GGUFWriter, config: Any) -> None:
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type", "default") != "default":
        raise ExportError(
            f"GGUF files are written here for plain rotary positions, and this model has {rope['rope_type']}; "
            "remove rope_scaling from its config.json, or set export_formats=adapter+merged."
        )
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(float(rope.get("rope_theta", 10_000.0)))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _add_sampling(writer: gguf.GGUFWriter, defaults: Mapping[str, Any]) -> None:
    writer.add_sampling_temp(float(defaults["temperature"]) if defaults["do_sample"] else 0.0)
    writer.add_sampling_top_p(float(defaults["top_p"]))
    writer.add_sampling_top_k(int(defaults["top_k"]))
    writer.add_sampling_penalty_repeat(float(defaults["repetition_penalty"]))


def _stored_type(shape: tuple[int, ...], kind: str) -> gguf.GGMLQuantizationType:
    """How a tensor is stored: matrices as asked where their rows allow it, vectors in float32."""
    if len(shape) < 2:
        return gguf.GGMLQuantizationType.F32
    return _TYPES[kind] if kind != "q8_0" or shape[-1] % 32 == 0 else gguf.GGMLQuantizationType.F16


def _width(stored: gguf.GGMLQuantizationType) -> int:
    return 2 if stored == gguf.GGMLQuantizationType.F16 else 4
