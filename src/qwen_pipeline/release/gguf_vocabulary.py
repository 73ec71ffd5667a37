"""A tokenizer of Qwen's family as GGUF metadata: tokens, kinds, merges, special ids, chat template.

llama.cpp splits text by a rule that it knows by name; only Qwen's rule has the name ``qwen2``. A tokenizer with
another rule is refused, since its ids would differ in silence.
"""

import json
from collections.abc import Callable
from typing import Any

from gguf import GGUFWriter, TokenType
from transformers import PreTrainedTokenizerBase as Tokenizer

from qwen_pipeline.chat.template import end_of_turn
from qwen_pipeline.errors import ExportError
from qwen_pipeline.model.demo_tokenizer import QWEN_SPLIT


def add_vocabulary(writer: GGUFWriter, tokenizer: Tokenizer, rows: int) -> None:
    """Write everything a client needs to make the same ids.

    Args:
        writer: Of the file.
        tokenizer: The trained model's.
        rows: Rows of the embedding; ids above the vocabulary are marked unused.

    Raises:
        ExportError: The tokenizer is not a byte-level BPE with Qwen's rule.
    """
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    _require_qwen(content, str(tokenizer.name_or_path))
    tokens, kinds = _tokens(content, rows)
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in content["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    end = tokenizer.convert_tokens_to_ids(end_of_turn(tokenizer))
    writer.add_eos_token_id(end)
    writer.add_eot_token_id(end)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    if (bos := tokenizer.convert_tokens_to_ids("<|endoftext|>")) is not None:
        writer.add_bos_token_id(bos)
    writer.add_add_bos_token(False)
    writer.add_chat_template(tokenizer.chat_template)


def same_vocabulary(field: Callable[[str], Any], tokenizer: Tokenizer) -> bool:
    """Whether a file's tokens, merges and chat template are the tokenizer's.

    Args:
        field: Reads a value of the file's metadata.
        tokenizer: The trained model's.
    """
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    written = field("tokenizer.ggml.tokens") or []
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in content["model"]["merges"]]
    return (
        (written, field("tokenizer.ggml.token_type")) == _tokens(content, len(written))
        and field("tokenizer.ggml.merges") == merges
        and field("tokenizer.ggml.eos_token_id") == tokenizer.convert_tokens_to_ids(end_of_turn(tokenizer))
        and field("tokenizer.chat_template") == tokenizer.chat_template
    )


def _tokens(content: dict[str, Any], rows: int) -> tuple[list[str], list[int]]:
    """Text and kind of each id."""
    vocabulary = content["model"]["vocab"].values()
    rows = max(rows, 1 + max([*vocabulary, *(added["id"] for added in content["added_tokens"])]))
    tokens = [f"[PAD{number}]" for number in range(rows)]
    kinds = [int(TokenType.UNUSED)] * rows
    for token, number in content["model"]["vocab"].items():
        tokens[number], kinds[number] = token, int(TokenType.NORMAL)
    for added in content["added_tokens"]:
        kind = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
        tokens[added["id"]], kinds[added["id"]] = added["content"], int(kind)
    return tokens, kinds


def _require_qwen(content: dict[str, Any], name: str) -> None:
    pre = content.get("pre_tokenizer") or {}
    splits = [one.get("pattern", {}).get("Regex") for one in pre.get("pretokenizers", [pre])]
    if content["model"]["type"] != "BPE" or QWEN_SPLIT not in splits:
        raise ExportError(
            f"The tokenizer of {name} does not split text by Qwen's rule, the one that GGUF files are written "
            "with here; set export_formats=adapter+merged and convert the merged model with llama.cpp's own script."
        )
