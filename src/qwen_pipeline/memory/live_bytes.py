"""Counts the bytes of all tensors alive, on real tensors and on fake ones alike.

One counter serves the plan (fake tensors, no memory used), the tests that hold the plan against a real
run, and the memory profile on a CPU, which has no allocator statistics of its own.
"""

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

BLOCK_BYTES = 512  # The CUDA caching allocator rounds every request up to this.


def rounded_bytes(size: int) -> int:
    """Bytes that a request of ``size`` takes in the CUDA allocator's 512-byte blocks."""
    return (size + BLOCK_BYTES - 1) // BLOCK_BYTES * BLOCK_BYTES


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While active, follows every storage that an operator returns until it is freed.

    Tensors made before count only if handed to `follow` first. Of the memory that an operator takes and gives
    back inside itself, only what `_WORKSPACE` knows is counted.

    Attributes:
        live: Bytes alive now, in 512-byte blocks.
        peak: The most that was alive since the last `reset_peak`.
    """

    def __init__(self, on_change: Callable[[int, str], None] | None = None) -> None:
        """Start at zero.

        Args:
            on_change: Called with the live bytes and the operator's name (``free`` for a release).
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = 0
        self.peak = 0
        self._seen: set[int] = set()
        self._on_change = on_change

    def follow(self, tensor: Tensor, name: str = "given") -> int:
        """Count ``tensor``'s storage, once; returns the bytes added."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, rounded_bytes(storage.nbytes())
        if key in self._seen or size == 0 or tensor.device.type == "meta":
            return 0
        self._seen.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._forget, key, size).atexit = False
        if self._on_change:
            self._on_change(self.live, name)
        return size

    def follow_all(self, tree: Any) -> int:
        """Count every tensor in a nested structure; returns the bytes added."""
        return sum(self.follow(leaf) for leaf in tree_iter(tree) if isinstance(leaf, Tensor))

    def reset_peak(self) -> None:
        """Let the peak start again from what is alive now."""
        self.peak = self.live

    def _remember(self, tensor: Tensor) -> None:
        """Note a storage made elsewhere, so that a view of it does not count as new."""
        storage = tensor.untyped_storage()
        if storage._cdata not in self._seen:
            self._seen.add(storage._cdata)
            weakref.finalize(storage, self._forget, storage._cdata, 0).atexit = False

    def _forget(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.live -= size
        if self._on_change and size:
            self._on_change(self.live, "free")

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        for tensor in _tensors(args):
            self._remember(tensor)
        result = func(*args, **(kwargs or {}))
        for tensor in _tensors((result,)):
            self.follow(tensor, str(func))
        if (workspace := _WORKSPACE.get(func.name())) is not None:
            self.peak = max(self.peak, self.live + workspace(*args))
        return result


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    """The tensors in an operator's arguments or results, lists of them included."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from _tensors(value)


def _gemm_4bit_workspace(hidden: Tensor, packed: Tensor, shape: Sequence[int], *rest: Any) -> int:
    """Bytes of the weights that the product dequantises inside itself, and of their scales (twice)."""
    elements = shape[0] * shape[1]
    return rounded_bytes(elements * hidden.element_size()) + 2 * rounded_bytes(4 * -(-elements // rest[1]))


# Memory that an operator takes inside itself. Source: bitsandbytes 0.50, backends/default/ops.py; its CUDA
# kernel for small products takes less.
_WORKSPACE: dict[str, Callable[..., int]] = {"bitsandbytes::gemm_4bit": _gemm_4bit_workspace}
