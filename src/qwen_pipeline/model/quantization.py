"""Is 4-bit quantisation usable on this device? Found out before a model is loaded."""

import importlib
import platform
import sys

import torch

from qwen_pipeline.errors import QuantizationError

REQUIREMENT = "bitsandbytes>=0.50,<0.51"


def require_quantization(device: torch.device) -> None:
    """Quantise and use one small matrix on ``device``.

    Raises:
        QuantizationError: bitsandbytes is missing, was built for something else, or fails; the message
            has the line that installs the right one on this platform.
    """
    try:
        importlib.import_module("accelerate")  # transformers refuses to load in 4 bits without it
        bitsandbytes = importlib.import_module("bitsandbytes")
    except Exception as error:
        raise QuantizationError(f"4-bit loading is not possible: {error}; {install_line(device)}") from error
    try:
        weight = torch.linspace(-1, 1, 64 * 64, device=device, dtype=torch.float32).reshape(64, 64)
        packed, state = bitsandbytes.functional.quantize_4bit(
            weight, quant_type="nf4", compress_statistics=True
        )
        restored = bitsandbytes.functional.dequantize_4bit(packed, state)
    except Exception as error:
        raise QuantizationError(
            f"bitsandbytes {bitsandbytes.__version__} cannot quantise on {device} ({error}); "
            f"{install_line(device)}"
        ) from error
    worst = float((restored - weight).abs().max())
    if not worst < 0.2:
        raise QuantizationError(
            f"bitsandbytes {bitsandbytes.__version__} quantises wrongly on {device} (error {worst:.2f}); "
            f"{install_line(device)}"
        )


def install_line(device: torch.device) -> str:
    """What to type on this platform, for this device."""
    line = f'install it with: {sys.executable} -m pip install --force-reinstall accelerate "{REQUIREMENT}"'
    if device.type == "cuda":
        return f"{line} (built against CUDA {torch.version.cuda or 'none: this torch has no CUDA'})."
    system = platform.system()
    if system == "Darwin" and platform.machine() != "arm64":
        return f"{line}; on this platform ({system} {platform.machine()}) there is no build, so use Linux."
    return f"{line}."
