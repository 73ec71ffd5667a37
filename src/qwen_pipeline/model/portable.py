"""Files of a model in words that transformers 4 reads too: vLLM and other servers of models pin it.

Source: transformers 5.23 writes ``extra_special_tokens`` as a list, at which 4.51 to 4.57 raise ``AttributeError``, and
``rope_theta`` and ``dtype`` where these do not look, and so they take their defaults. Can go when nobody serves with 4.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase as Tokenizer

_CLASSES = {"TokenizersBackend": "PreTrainedTokenizerFast"}  # by the name of transformers 5


def save_tokenizer(tokenizer: Tokenizer, directory: Path) -> None:
    """Write a tokenizer with its chat template, for transformers 4 and 5.

    Args:
        tokenizer: The trained model's.
        directory: Receives ``tokenizer.json``, ``tokenizer_config.json`` and ``chat_template.jinja``.
    """
    tokenizer.save_pretrained(str(directory))
    path = directory / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(config.get("extra_special_tokens"), list):
        config["additional_special_tokens"] = config.pop("extra_special_tokens")
    config["tokenizer_class"] = _CLASSES.get(config["tokenizer_class"], config["tokenizer_class"])
    text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def portable_config(config: Mapping[str, Any], dtype: torch.dtype) -> dict[str, Any]:
    """A ``config.json`` with the positions and the dtype under the names of transformers 4 and of 5.

    Args:
        config: The base model's, as it was read.
        dtype: Of the weights that it will lie beside.
    """
    name = str(dtype).removeprefix("torch.")
    made = {**config, "dtype": name, "torch_dtype": name, "use_cache": True}
    rope = config.get("rope_parameters")
    if isinstance(rope, Mapping) and "rope_theta" in rope:
        scaling = {key: value for key, value in rope.items() if key != "rope_theta"}
        plain = scaling.get("rope_type", "default") == "default"
        made |= {"rope_theta": rope["rope_theta"], "rope_scaling": None if plain else scaling}
    return made
