"""A 4-bit model with adapters that has every shape and no bytes.

The model is built on the meta device, so that libraries attach adapters to it as to any other, and its
tensors are then replaced by fake ones on a stand-in CPU. (Fake CUDA tensors run forward, but autograd asks
for a device context that a machine without a GPU does not have; the sizes are the same.)
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

QUANTISATION_BLOCK = 64  # Weights that share one scale. Source: bitsandbytes, blocksize of NF4.
SCALE_BLOCK = 256  # Scales that share one scale of scales, with double quantisation.


@dataclass(frozen=True)
class ModelBytes:
    """Bytes that stay as long as the model does.

    Attributes:
        weights: 4-bit weights, embeddings, head and norms.
        quantisation: Scales, scales of scales, and code books.
        adapters: The trained parameters.
        buffers: Rotary frequencies and the like.
        adapter_elements: Elements of the trained parameters together.
    """

    weights: int
    quantisation: int
    adapters: int
    buffers: int
    adapter_elements: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.quantisation + self.adapters + self.buffers


def build_fake_model(
    config: Any,
    *,
    mode: FakeTensorMode,
    attach_adapters: Callable[[nn.Module], nn.Module],
    layers: int | None = None,
    compute_dtype: torch.dtype = torch.bfloat16,
    attention: str = "sdpa",
) -> nn.Module:
    """Build the model that a training loads, in fake tensors.

    Args:
        config: A transformers configuration of a causal model.
        mode: The fake mode that the step will run in.
        attach_adapters: The product's own function that puts LoRA on the quantised model.
        layers: Build only so many of the layers.
        compute_dtype: Dtype of what is not quantised.
        attention: transformers' name of the attention function.

    Returns:
        The model with adapters, in train mode, every tensor fake.
    """
    from transformers import AutoModelForCausalLM

    config = _with_layers(config, layers or config.num_hidden_layers)
    config._attn_implementation = attention
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=compute_dtype)
        model.requires_grad_(False)
        head = model.get_output_embeddings()
        for parent, name, linear in list(_linears(model)):
            if linear is not head:
                setattr(parent, name, _meta_linear_4bit(linear, compute_dtype))
        model.is_loaded_in_4bit = True
        model = attach_adapters(model)
    with mode:
        _materialise(model)
    return model.train()


def count_model_bytes(model: nn.Module) -> ModelBytes:
    """Sizes of what a model holds, real or fake, each storage once."""
    seen: set[int] = set()

    def size(tensor: Tensor | None) -> int:
        if tensor is None or tensor.untyped_storage()._cdata in seen:
            return 0
        seen.add(tensor.untyped_storage()._cdata)
        return tensor.untyped_storage().nbytes()

    parameters = list(model.parameters())
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    adapters = sum(size(parameter) for parameter in trained)
    weights = sum(size(parameter) for parameter in parameters)
    states = [getattr(parameter, "quant_state", None) for parameter in parameters]
    quantisation = sum(
        size(tensor) for state in states if state is not None for tensor in state_tensors(state)
    )
    buffers = sum(size(buffer) for buffer in model.buffers())
    elements = sum(parameter.numel() for parameter in trained)
    return ModelBytes(weights, quantisation, adapters, buffers, elements)


def state_tensors(state: Any) -> list[Tensor | None]:
    """The tensors of a bitsandbytes quantisation state."""
    nested = state.state2
    inner = [nested.absmax, nested.code] if nested is not None else []
    return [state.absmax, state.code, state.offset if isinstance(state.offset, Tensor) else None, *inner]


def _with_layers(config: Any, layers: int) -> Any:
    config = copy.deepcopy(config)
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None):
        config.layer_types = (config.layer_types * layers)[:layers]
    return config


def _linears(model: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Linear]]:
    for parent in model.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.Linear):
                yield parent, name, child


def _meta_linear_4bit(linear: nn.Linear, compute_dtype: torch.dtype) -> nn.Module:
    """A quantised layer of the same shape on the meta device; its state comes with the fake tensors."""
    from bitsandbytes.nn import Linear4bit

    module = Linear4bit(
        linear.in_features, linear.out_features, bias=linear.bias is not None,
        compute_dtype=compute_dtype, compress_statistics=True, quant_type="nf4", device="meta",
    )  # fmt: skip
    packed = torch.empty((linear.weight.numel() + 1) // 2, 1, dtype=torch.uint8, device="meta")
    # A plain parameter: the library's Params4bit cannot hold a fake tensor.
    module.weight = nn.Parameter(packed, requires_grad=False)
    module.weight.compress_statistics, module.weight.quant_type = True, "nf4"
    return module.requires_grad_(False)  # type: ignore[no-any-return]


def _materialise(model: nn.Module) -> None:
    """Replace every meta tensor by a fake one; call it inside the fake mode."""
    made: dict[int, Any] = {}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = made.setdefault(id(parameter), _fake_parameter(parameter))
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = made.setdefault(id(buffer), torch.empty_like(buffer, device="cpu"))
        if hasattr(module, "quant_state") and isinstance(module, nn.Linear):
            _give_state(module)


def _fake_parameter(parameter: nn.Parameter) -> nn.Parameter:
    data = torch.empty_like(parameter, device="cpu", requires_grad=False)
    fake = nn.Parameter(data, requires_grad=parameter.requires_grad)
    for name, value in vars(parameter).items():
        setattr(fake, name, value)
    return fake


def _give_state(module: Any) -> None:
    """The quantisation state of NF4 with double quantisation. Source: bitsandbytes 0.50, quantize_4bit."""
    from bitsandbytes.functional import QuantState

    blocks = -(-module.in_features * module.out_features // QUANTISATION_BLOCK)
    inner = QuantState(
        absmax=torch.empty(-(-blocks // SCALE_BLOCK)), code=torch.empty(256), blocksize=SCALE_BLOCK,
        dtype=torch.float32,
    )  # fmt: skip
    state = QuantState(
        absmax=torch.empty(blocks, dtype=torch.uint8),
        shape=torch.Size((module.out_features, module.in_features)),
        dtype=module.compute_dtype, blocksize=QUANTISATION_BLOCK, code=torch.empty(16), quant_type="nf4",
        offset=torch.empty(()), state2=inner,
    )  # fmt: skip
    module.quant_state = module.weight.quant_state = state
    module.weight.bnb_quantized, module.weight.module, module.weight.blocksize = (
        True,
        module,
        QUANTISATION_BLOCK,
    )
    module.compute_type_is_set = True
