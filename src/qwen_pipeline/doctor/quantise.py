"""Quantise a tensor with bitsandbytes, as a program of its own that prints what came of it as JSON.

Importing torch and bitsandbytes takes seconds, and a library built for another machine may end the process: the doctor runs this
beside its other checks.
"""

import contextlib
import importlib.util
import json
import logging
from typing import Any

RESTART = "restart the machine or container if nvidia-smi fails too; CUDA_VISIBLE_DEVICES= runs on the CPU"


def quantise() -> dict[str, Any]:
    """Quantise a tensor to NF4 with double quantisation and read it back.

    Returns:
        ``failure``, a sentence, and its ``remedy`` where that is not to install the library; or ``version`` of bitsandbytes, ``device`` and ``relative_error``.
    """
    logging.getLogger("bitsandbytes").setLevel("ERROR")  # it warns of kernels that nobody has to install
    try:
        import bitsandbytes
        import torch
    except Exception as failure:  # a library that does not fit raises whatever it likes
        return {"failure": f"4-bit loading is not possible: {failure}"}
    if importlib.util.find_spec("accelerate") is None:  # transformers refuses 4-bit loading without it
        return {"failure": "4-bit loading is not possible: accelerate is not installed"}
    try:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    except Exception as failure:  # of the driver, or of libraries that it loads
        return {"failure": f"torch cannot ask for a card: {failure}", "remedy": RESTART}
    try:
        tensor = torch.randn(256, 256, generator=torch.Generator().manual_seed(0)).to(device)
        packed, state = bitsandbytes.functional.quantize_4bit(
            tensor, quant_type="nf4", compress_statistics=True
        )
        back = bitsandbytes.functional.dequantize_4bit(packed, state)
    except Exception as failure:
        return {"failure": f"bitsandbytes cannot quantise on {device}: {failure}"}
    relative = float((back - tensor).norm() / tensor.norm())
    return {"version": bitsandbytes.__version__, "device": device, "relative_error": relative}


def leave_the_compiler_out() -> None:
    """Let torch.compile hand functions back as they are, in this process.

    bitsandbytes compiles the dequantisation of devices without a kernel of their own when it is imported, which
    loads torch's whole compiler for seconds; where that fails it takes the plain functions by itself.

    Source: bitsandbytes 0.50.2, ``backends/default/ops.py``; can go when it compiles on first use.
    """
    with contextlib.suppress(Exception):  # where torch cannot be imported, quantise() says why
        import torch

        setattr(torch, "compile", lambda model=None, **_: model or (lambda function: function))  # noqa: B010


if __name__ == "__main__":
    leave_the_compiler_out()
    print(json.dumps(quantise()))
