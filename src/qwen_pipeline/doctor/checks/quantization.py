"""bitsandbytes really quantising a tensor (S6)."""

import logging
from collections.abc import Iterator

from qwen_pipeline.doctor.finding import Finding, Inspection, error, ok

ORDER = 40
INSTALL = '-m pip install --force-reinstall accelerate "bitsandbytes>=0.50,<0.51"'
LARGEST_ERROR = 0.2  # relative; NF4 of normal values errs by about 0.09


def check(inspection: Inspection) -> Iterator[Finding]:
    """Quantise a tensor to NF4 with double quantisation, read it back and compare."""
    install = f"{inspection.program('python')} {INSTALL}"
    logging.getLogger("bitsandbytes").setLevel("ERROR")  # it warns of kernels that nobody has to install
    try:
        import accelerate  # noqa: F401  (transformers refuses 4-bit loading without it)
        import bitsandbytes
        import torch
    except (ImportError, OSError) as failure:
        yield error("4-bit", f"4-bit loading is not possible: {failure}", install)
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tensor = torch.randn(256, 256, generator=torch.Generator().manual_seed(0)).to(device)
    try:
        packed, state = bitsandbytes.functional.quantize_4bit(
            tensor, quant_type="nf4", compress_statistics=True
        )
        back = bitsandbytes.functional.dequantize_4bit(packed, state)
    except (RuntimeError, ValueError, NotImplementedError) as failure:
        yield error("4-bit", f"bitsandbytes cannot quantise on {device}: {failure}", install)
        return
    relative = float((back - tensor).norm() / tensor.norm())
    if relative > LARGEST_ERROR:
        fact = f"NF4 on {device} comes back {relative:.0%} off; bitsandbytes is broken here"
        yield error("4-bit", fact, install)
    else:
        yield ok(
            "4-bit", f"bitsandbytes {bitsandbytes.__version__} quantises on {device} ({relative:.1%} off)"
        )
