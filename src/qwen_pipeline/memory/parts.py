"""What a training's memory consists of, part by part, in bytes."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from qwen_pipeline.memory.live_bytes import rounded_bytes
from qwen_pipeline.memory.measure import GIB
from qwen_pipeline.memory.segments import StepTrace

# cuBLAS keeps one workspace a handle and stream inside PyTorch's allocator. Source: PyTorch 2.11,
# ATen/cuda/CUDABlas, `parseChosenWorkspaceSize`: 32 MiB on Hopper and newer, 8 MiB before; planned is the
# larger.
CUBLAS_WORKSPACE = 32 * 2**20
# Reserved beyond allocated, with expandable segments (pages of 2 MiB, two pools), which `allocator.use_expandable_segments`
# asks for. Measured on an H200 where the cap is tight: 2 to 4 % (benchmarks/results, train_gpu).
FRAGMENTATION = 0.03
PAGED_ELEMENTS = 100_000  # Smaller states are not paged. Source: bitsandbytes optim/optimizer.py.
QUANTISED_ELEMENTS = 4096  # Smaller states stay in float32. Source: bitsandbytes, min_8bit_size.


@dataclass(frozen=True)
class PlanParts:
    """Bytes by part at the moment of the peak; they add up to `process`.

    Attributes:
        weights: 4-bit weights, embeddings, head, norms and buffers.
        quantisation: Scales of the 4-bit weights.
        adapters: The trained parameters.
        gradients: Gradients held from earlier micro-batches of the step.
        optimiser: Optimiser state in the allocator.
        optimiser_paged: Optimiser state in managed memory, which the driver may move to the host.
        activations: What forward has left for backward when the peak's segment begins.
        logits: What the head takes, if the peak is there.
        workspace: What a layer takes while it runs (dequantised weights included), or the optimiser, if the peak is there.
        libraries: Workspace of cuBLAS.
        fragmentation: What the allocator reserves and does not use.
        context: The CUDA context, or the libraries of a process on the CPU.
    """

    weights: int
    quantisation: int
    adapters: int
    gradients: int
    optimiser: int
    optimiser_paged: int
    activations: int
    logits: int
    workspace: int
    libraries: int
    fragmentation: int
    context: int

    @property
    def process(self) -> int:
        """The process's memory as nvidia-smi shows it."""
        return sum(asdict(self).values())

    @property
    def reserved(self) -> int:
        """The allocator's reserved memory, which the cap limits (paged state must fit beside it)."""
        return self.process - self.context

    @property
    def allocated(self) -> int:
        """What tensors hold: compare with ``torch.cuda.max_memory_allocated``."""
        return self.reserved - self.fragmentation - self.optimiser_paged

    def as_gib(self) -> dict[str, float]:
        """Every part in GiB."""
        return {name: value / GIB for name, value in asdict(self).items()}


def split_peak(
    trace: StepTrace, optimiser: tuple[int, int], *, optim: str, on_gpu: bool, context: int
) -> PlanParts:
    """Say what the peak of a traced step consists of, which may be where the optimiser takes its step.

    Args:
        trace: The step.
        optimiser: State in the allocator and in managed memory, bytes.
        optim: The optimiser, by transformers' name.
        on_gpu: Whether cuBLAS and the caching allocator are there.
        context: Bytes outside of the allocator.
    """
    peak, where, live = trace.peak()
    model = trace.model
    # What is alive at the start beyond the model: gradients, and the rounding up to the allocator's blocks.
    held = trace.start - model.total
    gradients = model.adapters if held >= model.adapters else 0
    rounding = held - gradients
    update = update_bytes(optim, model.adapters, sum(optimiser), on_gpu=on_gpu)
    if model.total + rounding + update > peak:
        peak, where = model.total + rounding + update, "update"
        gradients = model.adapters
        live = peak - update + gradients
    rise, in_head = peak - live, where == "head"
    libraries = CUBLAS_WORKSPACE if on_gpu else 0
    tensors = peak + sum(optimiser) + libraries
    return PlanParts(
        weights=model.weights + model.buffers + rounding,
        quantisation=model.quantisation,
        adapters=model.adapters,
        gradients=gradients,
        optimiser=optimiser[0],
        optimiser_paged=optimiser[1],
        activations=live - model.total - rounding - gradients,
        logits=rise if in_head else 0,
        workspace=0 if in_head else rise,
        libraries=libraries,
        fragmentation=round(tensors * FRAGMENTATION) if on_gpu else 0,
        context=context,
    )


def update_bytes(optim: str, adapters: int, state: int, *, on_gpu: bool) -> int:
    """What an optimiser's step takes beside model and state, bytes.

    Gradients; copies of parameters and state, so that it can be taken again (`OptimizerTransaction`); on a card also
    the square roots that PyTorch's AdamW makes of all parameters at once. Source: torch.optim.adamw, ``_multi_tensor_adamw``.

    Args:
        optim: transformers' name.
        adapters: Bytes of the trained parameters.
        state: Bytes of their state, paged or not: the copy of a paged one lies in the allocator too.
        on_gpu: Whether a card takes the step.
    """
    roots = adapters if on_gpu and optim == "adamw_torch" else 0
    return 2 * adapters + state + roots


def optimiser_bytes(optim: str, adapter_sizes: Iterable[int], *, on_gpu: bool = True) -> tuple[int, int]:
    """State of an optimiser: bytes in the allocator, and bytes in managed memory.

    Args:
        optim: transformers' name of an AdamW (``paged_adamw_8bit``, ``adamw_torch``, …), or ``sgd``, which has no state.
        adapter_sizes: Elements of every trained tensor.
        on_gpu: Paging exists only there.
    """
    moments = 0 if optim == "sgd" else 2
    inside = outside = 0
    for elements in adapter_sizes:
        if "8bit" in optim and elements >= QUANTISED_ELEMENTS:
            size = moments * (rounded_bytes(elements) + rounded_bytes(4 * -(-elements // 256)))
        else:
            size = moments * rounded_bytes(4 * elements)
        if optim.startswith("paged") and on_gpu and elements >= PAGED_ELEMENTS:
            outside += size
        else:
            inside += size
    return inside, outside
