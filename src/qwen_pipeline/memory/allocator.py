"""Settings of PyTorch's CUDA allocator, made before the first tensor is on the card."""

import logging
import os
import platform
import sys
from collections.abc import Mapping

logger = logging.getLogger(__name__)

VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
# Segments that grow, mapped page by page: what a step has freed in one size serves the next in another, which `parts.FRAGMENTATION`
# assumes. Source: PyTorch's notes on CUDA, "Optimizing memory usage with PYTORCH_ALLOC_CONF".
EXPANDABLE_SEGMENTS = "expandable_segments:True"


def has_expandable_segments() -> bool:
    """Whether segments can grow here. Windows has none, and under WSL its driver refuses them on some cards.

    There the first allocation fails with an unknown error. Source: https://github.com/pytorch/pytorch/issues/192330
    """
    return sys.platform != "win32" and "microsoft" not in platform.release().lower()


def use_expandable_segments(environment: Mapping[str, str] = os.environ) -> bool:
    """Ask for segments that can grow, unless the user has set up the allocator himself.

    The setting is made by a call and not in the environment: torch reads its variables when its libraries are loaded, which has
    happened by now; the call holds from the next segment on, before CUDA is initialised as well as after.

    Args:
        environment: Where the user's own settings are looked for.

    Returns:
        Whether the setting was made.
    """
    if not has_expandable_segments() or any(environment.get(name) for name in VARIABLES):
        return False
    import torch  # here, so that the doctor knows the variables without it

    # The function's older name, deprecated since PyTorch 2.11, serves where the new one is missing.
    apply = getattr(torch._C, "_accelerator_setAllocatorSettings", None)
    (apply or torch.cuda.memory._set_allocator_settings)(EXPANDABLE_SEGMENTS)
    logger.debug("The CUDA allocator uses %s.", EXPANDABLE_SEGMENTS)
    return True
