"""A model in a local folder: is it whole, and what is its content's fingerprint?

A folder that was cloned without git-LFS, or copied while a disk filled up, is found here by reading
file headers, not after minutes of loading. Folders of ModelScope have the same files and pass.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from qwen_pipeline.errors import ModelSourceError
from qwen_pipeline.model.architecture import require_supported

_LFS_POINTER = b"version https://git-lfs"
_INDEX_FILES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_SINGLE_FILES = ("model.safetensors", "pytorch_model.bin")
_TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "tokenizer.model")
_SAMPLES, _SAMPLE_BYTES = 16, 1 << 16


def check_directory(folder: Path, weights: bool = True) -> Path:
    """Check that ``folder`` holds a model that this project trains.

    Args:
        folder: The model's directory.
        weights: Check the weight files as well.

    Returns:
        The absolute path of the folder.

    Raises:
        ModelSourceError: The folder or one of its files is missing, a pointer, or cut short.
        UnsupportedModelError: The architecture is not supported.
    """
    if not folder.is_dir():
        kind = "is a file" if folder.is_file() else "does not exist"
        named = folder if folder.is_absolute() or folder.parts[:1] == ("..",) else f"./{folder}"
        raise ModelSourceError(
            f"model_name={named}: the folder {kind}. Give a folder with config.json, tokenizer and "
            "*.safetensors, a hub id (owner/name), or demo."
        )
    config = _load_json(folder, "config.json")
    require_supported(config, str(folder))
    _check_tokenizer(folder)
    if weights:
        for path in weight_files(folder):
            _check_weight_file(path)
    return folder.resolve()


def weight_files(folder: Path) -> list[Path]:
    """The files that hold the weights, safetensors before the older format, sorted by name.

    Raises:
        ModelSourceError: There are none, or the index names files that are not there.
    """
    for name in _INDEX_FILES:
        if (folder / name).is_file():
            shards = sorted(set(_load_json(folder, name)["weight_map"].values()))
            missing = [shard for shard in shards if not (folder / shard).is_file()]
            if missing:
                shown = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
                raise ModelSourceError(
                    f"{folder}: {len(missing)} of {len(shards)} weight files are missing ({shown}). "
                    "Copy or download them again."
                )
            return [folder / shard for shard in shards]
    for name in _SINGLE_FILES:
        if (folder / name).is_file():
            return [folder / name]
    gguf = " GGUF files cannot be trained." if any(folder.glob("*.gguf")) else ""
    raise ModelSourceError(
        f"{folder}: no weights (model.safetensors or its index).{gguf} Download them again."
    )


def directory_fingerprint(folder: Path) -> dict[str, str]:
    """Digest of each file that decides what the model is.

    Small files are read whole. Of a weight file its size, its header (names, types, shapes) and 16
    evenly spaced blocks are read: cheap at any size, and any real training changes them.

    Returns:
        File name to SHA-256 in hexadecimal; independent of the folder's place and of file times.
    """
    small = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix in {".json", ".jinja", ".txt", ".model"} and path.is_file()
    ]
    return {
        **{path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in small},
        **{path.name: _sampled_digest(path) for path in weight_files(folder)},
    }


def _load_json(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    if not path.is_file():
        raise ModelSourceError(
            f"{folder}: {name} is missing, so this is not a model folder. {_remedy(folder)}"
        )
    _refuse_pointer(path)
    try:
        loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise ModelSourceError(f"{path} cannot be read ({error}). Download it again.") from error
    return loaded


def _remedy(folder: Path) -> str:
    """What to do about a folder that is none of a model, by what lies in it."""
    if (folder / "adapter_config.json").is_file():
        return "It holds an adapter; set model_name to the base model that the adapter names, or to merged weights."
    if any(folder.glob("*.gguf")):
        return "GGUF files cannot be trained; set model_name to the 16-bit model that they were made from."
    inside = [*sorted(folder.glob("*/config.json")), *sorted(folder.glob("snapshots/*/config.json"))]
    return f"There is one in {inside[0].parent}." if inside else "Download it again."


def _check_tokenizer(folder: Path) -> None:
    present = [folder / name for name in _TOKENIZER_FILES if (folder / name).is_file()]
    if not present:
        raise ModelSourceError(f"{folder}: no tokenizer (tokenizer.json). Copy it from the original model.")
    for path in present:
        _refuse_pointer(path)


def _check_weight_file(path: Path) -> None:
    _refuse_pointer(path)
    if path.suffix != ".safetensors":
        return
    size = path.stat().st_size
    try:
        header, header_bytes = _safetensors_header(path)
        ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelSourceError(f"{path} is not a safetensors file ({error}). Download it again.") from error
    expected = 8 + header_bytes + max(ends, default=0)
    if size != expected:
        raise ModelSourceError(
            f"{path} has {size:,} bytes of {expected:,}: it was copied or downloaded only in part. "
            "Download it again."
        )


def _safetensors_header(path: Path) -> tuple[dict[str, Any], int]:
    """Header and its length in bytes. Source: safetensors format, 8-byte little-endian length, JSON."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            raise ValueError("its header is longer than the file")
        header = json.loads(file.read(length))
    return header, length


def _refuse_pointer(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
            raise ModelSourceError(
                f"{path} is a git-LFS pointer, not the file itself. Run `git lfs install && git lfs pull` in "
                f"{path.parent}."
            )


def _sampled_digest(path: Path) -> str:
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        if path.suffix == ".safetensors":
            digest.update(file.read(8 + _safetensors_header(path)[1]))
        for number in range(_SAMPLES):
            file.seek(max(0, (size - _SAMPLE_BYTES) * number // max(1, _SAMPLES - 1)))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()
