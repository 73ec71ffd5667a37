"""Free disk space against what the exports will take, before the first byte is written (S9)."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

from qwen_pipeline.errors import DiskSpaceError
from qwen_pipeline.incremental.durable import existing_parent
from qwen_pipeline.memory.measure import MIB

# Bytes a weight. Source: block sizes of the ggml quantisation types (34 bytes for 32 weights in q8_0, …).
BYTES_PER_WEIGHT = {"f16": 2.0, "q8_0": 34 / 32, "q6_k": 0.8205, "q5_k_m": 0.711, "q4_k_m": 0.606}
MARGIN = 1.02  # headers, tokenizer, file system


def export_bytes(weights: int, formats: Sequence[str], types: Sequence[str], adapter_bytes: int) -> int:
    """What the exports take together.

    Args:
        weights: Numbers in the model.
        formats: ``adapter``, ``merged``, ``gguf``, ``ollama``.
        types: GGUF types; a K-quant is made from an f16 file, which is written for it.
        adapter_bytes: Size of the adapter's folder.
    """
    total = float(adapter_bytes) if "adapter" in formats else 0.0
    if "merged" in formats:
        total += 2.0 * weights
    if "gguf" in formats:
        written = {*types, "f16"} if any("k" in name for name in types) else set(types)
        total += sum(BYTES_PER_WEIGHT[name] for name in written) * weights
    return int(total * MARGIN)


def require_space(folder: Path, needed: int, formats: Sequence[str]) -> None:
    """Refuse an export that the disk cannot take.

    Args:
        folder: Where it is written; need not exist.
        needed: Bytes.
        formats: For the message.

    Raises:
        DiskSpaceError: There is less.
    """
    place = existing_parent(folder)
    free = shutil.disk_usage(place).free
    if free < needed:
        raise DiskSpaceError(
            f"export_formats={'+'.join(formats)} needs {math.ceil(needed / MIB):,} MiB in {place}, and {free // MIB:,} are "
            "free; run kedro prune --keep 1, or set export_formats=adapter."
        )
