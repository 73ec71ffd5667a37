"""The model, rows and steps that the benchmark for a card measures: this project's and the peer's."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from bitsandbytes.nn import Linear4bit, Params4bit
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from qwen_pipeline.chat.packing import pack
from qwen_pipeline.errors import OutOfMemoryError
from qwen_pipeline.memory.live_bytes import LiveBytes
from qwen_pipeline.memory.recovery import is_out_of_memory, release_memory
from qwen_pipeline.memory.trace import follow_model
from qwen_pipeline.model.attention import register_packed_attention
from qwen_pipeline.training.memory_recipe import step_recipe
from qwen_pipeline.training.micro_step import packed_loss

QWEN3_4B: dict[str, Any] = {
    "vocab_size": 151_936, "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36,
    "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "tie_word_embeddings": True,
}  # fmt: skip
TINY: dict[str, Any] = {
    "vocab_size": 2048, "hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 5,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "tie_word_embeddings": True,
}  # fmt: skip
Rows = Sequence[dict[str, Any]]


def build_model(config: Any, device: torch.device, dtype: torch.dtype, rank: int) -> nn.Module:
    """A base with this project's adapters and fused layers."""
    base = build_base(config, device, dtype)
    return step_recipe(lora_r=rank, lora_alpha=2 * rank).attach_adapters(base).train()


def build_base(config: Any, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """Random weights of the given shape, quantised one layer at a time on the device, frozen."""
    torch.manual_seed(0)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="sdpa")
    head = model.get_output_embeddings()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear) and child is not head:
                setattr(parent, name, quantised(child, device, dtype))
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and parameter.device.type == "meta":
                values = torch.ones if parameter.dim() == 1 else random_weight
                data = values(parameter.shape, device=device).to(dtype)
                module._parameters[name] = nn.Parameter(data, False)
    model.tie_weights()
    rotary = type(model.model.rotary_emb)
    with device:
        model.model.rotary_emb = rotary(config)
    model.is_loaded_in_4bit = True
    return model.requires_grad_(False)


def random_weight(shape: Sequence[int], device: torch.device) -> Tensor:
    """Drawn in float32, so that models of all dtypes have the same weights but for rounding."""
    return torch.randn(shape, device=device).mul_(0.02)


def quantised(linear: nn.Linear, device: torch.device, dtype: torch.dtype) -> Linear4bit:
    module = Linear4bit(
        linear.in_features, linear.out_features, bias=False, compute_dtype=dtype, device="meta"
    )
    weight = random_weight((linear.out_features, linear.in_features), device).to(dtype)
    module.weight = Params4bit(weight, requires_grad=False, quant_type="nf4").to(device)
    return module


def make_rows(lengths: Sequence[int], vocabulary: int, prompt_share: float = 1 / 3) -> Rows:
    """Rows of random tokens that begin with an unlabelled prompt."""
    generator = torch.Generator().manual_seed(1)
    rows = []
    for number, length in enumerate(lengths):
        ids = torch.randint(vocabulary, (length,), generator=generator).tolist()
        prompt = int(length * prompt_share)
        rows.append({"input_ids": ids, "labels": [-100] * prompt + ids[prompt:], "example_id": str(number)})
    return rows


def our_step(model: nn.Module, rows: Rows, device: torch.device, bf16: bool) -> Tensor:
    """Forward and backward of one micro-batch as the loop does them."""
    model.get_base_model().set_attn_implementation(register_packed_attention())
    batch = pack(rows, device)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
        loss = packed_loss(model, batch)
    (loss / batch.targets.numel()).backward()
    return loss.detach()


def peer_step(model: nn.Module, rows: Rows, device: torch.device, bf16: bool) -> Tensor:
    """The same rows padded to the longest, with transformers' own loss over all logits."""
    model.get_base_model().set_attn_implementation("sdpa")
    longest = max(len(row["input_ids"]) for row in rows)

    def padded(name: str, value: int) -> Tensor:
        return torch.tensor([row[name] + [value] * (longest - len(row[name])) for row in rows], device=device)

    mask = padded("labels", -200) != -200
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
        loss = model(
            input_ids=padded("input_ids", 0), attention_mask=mask.long(), labels=padded("labels", -100),
            use_cache=False,
        ).loss  # fmt: skip
    loss.backward()
    return loss.detach()


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, and splitting, where it was tried, did not help."""
    return isinstance(error, OutOfMemoryError) or is_out_of_memory(error)


def measured_peak(model: nn.Module, step: Callable[[], Any], device: torch.device) -> int:
    """Peak bytes of tensors while ``step`` runs, the model included."""
    release_memory()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        step()
        return torch.cuda.max_memory_allocated(device)
    memory = LiveBytes()
    follow_model(memory, model)
    with memory:
        step()
    return memory.peak
