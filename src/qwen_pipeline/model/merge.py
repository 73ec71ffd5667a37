"""Adapters folded into the base weights, tensor by tensor: no model is ever whole in memory.

Two foundations are possible. The 16-bit weights are what the base's author published; the 4-bit weights, taken
back to full precision, are what the adapter was trained on. The sum is made in float32 and rounded once, when
it is written.
"""

import json
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from qwen_pipeline.errors import CheckpointError, ExportError
from qwen_pipeline.model.local_files import weight_files

Foundation = Literal["16-bit", "4-bit"]
_PREFIX = "base_model.model."
_NOT_FOLDED = ("fan_in_fan_out", "modules_to_save", "trainable_token_indices", "lora_bias")


class AdapterWeights:
    """A LoRA adapter's matrices, read from its folder."""

    def __init__(self, folder: Path) -> None:
        """Read the adapter.

        Args:
            folder: With ``adapter_config.json`` and ``adapter_model.safetensors``.

        Raises:
            CheckpointError: The folder holds no adapter.
            ExportError: It is of a variant that `fold` does not reproduce.
        """
        try:
            self._config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
            self._tensors: dict[str, torch.Tensor] = load_file(folder / "adapter_model.safetensors")
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{folder} holds no readable adapter ({error}); run the train stage."
            ) from error
        variant = next((name for name in _NOT_FOLDED if self._config.get(name)), None)
        if variant or self._config.get("rank_pattern") or self._config.get("alpha_pattern"):
            raise ExportError(
                f"The adapter in {folder} uses {variant or 'rank_pattern'}, which cannot be merged here; "
                "set export_formats=adapter."
            )
        rank = int(self._config["r"])
        divisor = rank**0.5 if self._config.get("use_rslora") else rank
        self.scale = float(self._config["lora_alpha"]) / divisor

    @property
    def targets(self) -> frozenset[str]:
        """Names of the weights that the adapter changes, as the base names them."""
        return frozenset(
            f"{name.removeprefix(_PREFIX).removesuffix('.lora_A.weight')}.weight"
            for name in self._tensors
            if name.endswith(".lora_A.weight")
        )

    def shape(self, target: str) -> tuple[int, int]:
        """Rows and columns of what is added to a weight."""
        a, b = self._pair(target)
        return b.shape[0], a.shape[1]

    def delta(self, target: str) -> torch.Tensor:
        """What is added to a weight: ``scale * B @ A``, float32."""
        a, b = self._pair(target)
        return self.scale * (b.float() @ a.float())

    def fold(self, target: str, weight: torch.Tensor) -> torch.Tensor:
        """A weight with the adapter in it, float32: ``W + delta``, with DoRA scaled to its magnitudes by row."""
        folded = weight + self.delta(target)
        if not self._config.get("use_dora"):
            return folded
        magnitude = self._tensors[f"{self._stem(target)}.lora_magnitude_vector"].float()
        scaled: torch.Tensor = folded * (magnitude / folded.norm(dim=1))[:, None]
        return scaled

    @staticmethod
    def _stem(target: str) -> str:
        return _PREFIX + target.removesuffix(".weight")

    def _pair(self, target: str) -> tuple[torch.Tensor, torch.Tensor]:
        stem = self._stem(target)
        return self._tensors[f"{stem}.lora_A.weight"], self._tensors[f"{stem}.lora_B.weight"]


class StoredWeights:
    """A model folder's tensors, each read when it is asked for."""

    def __init__(self, folder: Path) -> None:
        """Open the files; no weight is read yet.

        Args:
            folder: With safetensors files, one or several.

        Raises:
            ModelSourceError: There are none, or some are missing.
            ExportError: They are of another format.
        """
        self._files: dict[str, Any] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        for path in weight_files(folder):
            file: Any = safe_open(_require_safetensors(path), framework="pt")
            for name in file.keys():  # noqa: SIM118
                self._files[name] = file
                self.shapes[name] = tuple(file.get_slice(name).get_shape())

    def __getitem__(self, name: str) -> torch.Tensor:
        """One tensor, float32, on the CPU."""
        weight: torch.Tensor = self._files[name].get_tensor(name)
        return weight.float()

    @property
    def numbers(self) -> int:
        """How many numbers the model has."""
        return sum(int(torch.Size(shape).numel()) for shape in self.shapes.values())

    def stored_dtype(self) -> torch.dtype:
        """The base's own 16-bit dtype; bfloat16 where it is stored wider."""
        name = next(iter(self._files))
        dtype: torch.dtype = self._files[name].get_tensor(name).dtype
        return dtype if dtype in (torch.bfloat16, torch.float16) else torch.bfloat16


class MergedWeights(StoredWeights):
    """The merged model's tensors, each made when it is asked for."""

    def __init__(
        self,
        base: Path,
        adapter: AdapterWeights,
        foundation: Foundation,
        quantised_dtype: torch.dtype = torch.bfloat16,
        device: torch.device | None = None,
    ) -> None:
        """Open the base's files and hold them against the adapter.

        Args:
            base: Folder of the base model.
            adapter: The adapter.
            foundation: What the adapter is added to.
            quantised_dtype: Dtype that the weights had when training quantised them.
            device: Where 4-bit weights are made; the one that trained makes the same ones.

        Raises:
            ExportError: The adapter changes a weight that the base does not have, or of another shape.
        """
        super().__init__(base)
        self._adapter, self._foundation = adapter, foundation
        self._quantised_dtype, self._device = quantised_dtype, device or torch.device("cpu")
        for target in sorted(adapter.targets):
            if self.shapes.get(target) != adapter.shape(target):
                raise ExportError(
                    f"The adapter changes {target} of shape {adapter.shape(target)}, and the base in {base} has "
                    f"{self.shapes.get(target, 'none')}; set model_name to the model it was trained on."
                )

    def __getitem__(self, name: str) -> torch.Tensor:
        """One merged tensor, float32, on the CPU."""
        stored: torch.Tensor = self._files[name].get_tensor(name)
        weight = stored.float()
        if self._foundation == "4-bit" and _is_quantised(name, stored):
            weight = dequantised(stored.to(self._device, self._quantised_dtype)).cpu()
        return self._adapter.fold(name, weight) if name in self._adapter.targets else weight


def dequantised(weight: torch.Tensor) -> torch.Tensor:
    """A weight through 4 bits and back, as ``load_quantized_model`` quantises it, in float32."""
    import bitsandbytes.functional as bnb

    packed, state = bnb.quantize_4bit(weight.contiguous(), quant_type="nf4", compress_statistics=True)
    state.dtype = torch.float32
    restored: torch.Tensor = bnb.dequantize_4bit(packed, state)
    return restored


def write_merged(merged: MergedWeights, target: Path, dtype: torch.dtype, shard_bytes: int) -> list[Path]:
    """Write the merged weights in shards; at most one shard is in memory.

    Args:
        merged: The tensors.
        target: The folder.
        dtype: Type of the written weights.
        shard_bytes: Most bytes of a file, where a single tensor is not larger.

    Returns:
        The files.
    """
    target.mkdir(parents=True, exist_ok=True)
    width = torch.empty((), dtype=dtype).element_size()
    groups = _into_shards(merged.shapes, width, shard_bytes)
    names = [f"model-{number:05}-of-{len(groups):05}.safetensors" for number in range(1, len(groups) + 1)]
    if len(groups) == 1:
        names = ["model.safetensors"]
    total = 0
    index: dict[str, str] = {}
    for file_name, group in zip(names, groups, strict=True):
        shard: dict[str, torch.Tensor] = {}
        for name in group:
            shard[name] = merged[name].to(dtype).contiguous()
            index[name] = file_name
            total += shard[name].nbytes
        save_file(shard, target / file_name, metadata={"format": "pt"})
    if len(groups) > 1:
        content: dict[str, Any] = {"metadata": {"total_size": total}, "weight_map": index}
        (target / "model.safetensors.index.json").write_text(json.dumps(content, indent=2, sort_keys=True))
    return [target / name for name in names]


def _into_shards(shapes: dict[str, tuple[int, ...]], width: int, shard_bytes: int) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    size = 0
    for name, shape in shapes.items():
        nbytes = int(torch.Size(shape).numel()) * width
        if groups[-1] and size + nbytes > shard_bytes:
            groups.append([])
            size = 0
        groups[-1].append(name)
        size += nbytes
    return groups


def _is_quantised(name: str, weight: torch.Tensor) -> bool:
    """Whether training keeps this weight in 4 bits: every linear layer inside the blocks."""
    return ".layers." in name and weight.ndim == 2


def _require_safetensors(path: Path) -> Path:
    if path.suffix != ".safetensors":
        raise ExportError(
            f"{path} is not a safetensors file, which a merge reads tensor by tensor; convert the base model with "
            "transformers' save_pretrained, or set export_formats=adapter."
        )
    return path
