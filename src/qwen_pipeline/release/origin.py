"""Do adapter, base model and tokenizer belong together? Asked before anything is loaded or written."""

import json
from pathlib import Path

from transformers import AutoTokenizer
from transformers import PreTrainedTokenizerBase as Tokenizer

from qwen_pipeline.errors import CheckpointError, ExportError
from qwen_pipeline.model.source import ModelSource


def require_same_base(adapter: Path, source: ModelSource) -> None:
    """Refuse an adapter that was trained on another base model.

    Args:
        adapter: The adapter's folder.
        source: The base model of the parameters.

    Raises:
        CheckpointError: The folder holds no adapter.
        ExportError: The adapter names another base.
    """
    path = adapter / "adapter_config.json"
    if not path.is_file():
        raise CheckpointError(f"{adapter} holds no adapter; run: kedro run --pipeline train")
    trained_on = json.loads(path.read_text(encoding="utf-8")).get("base_model_name_or_path")
    if trained_on and not _same(str(trained_on), source):
        raise ExportError(
            f"The adapter was trained on {trained_on}, and model_name is {source.name}; set "
            f"model_name={trained_on}, or train again with kedro run --pipeline train."
        )


def require_same_tokenizer(adapter: Path, tokenizer: Tokenizer) -> None:
    """Refuse a base whose tokenizer or chat template is no longer the one that was trained with.

    Args:
        adapter: With the tokenizer of the training.
        tokenizer: The base model's, as it is now.

    Raises:
        ExportError: Vocabulary or template differ.
    """
    trained: Tokenizer = AutoTokenizer.from_pretrained(str(adapter))
    if trained.get_vocab() != tokenizer.get_vocab():
        what = f"the vocabulary ({len(trained)} tokens then, {len(tokenizer)} now)"
    elif trained.chat_template != tokenizer.chat_template:
        what = "the chat template"
    else:
        return
    raise ExportError(
        f"The tokenizer of {tokenizer.name_or_path} is not the one the adapter was trained with: {what} changed; "
        "put the old files back, or run: kedro run --pipeline train --force tokenize"
    )


def _same(trained_on: str, source: ModelSource) -> bool:
    """Whether two names mean one model: equal, or with the same last part (a folder that moved, a local copy)."""
    return trained_on == source.name or Path(trained_on).name == Path(source.reference()).name
