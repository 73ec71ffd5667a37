"""Load a tokenizer: with a chat template, and a pad token that is never trained on."""

import logging
from dataclasses import dataclass
from typing import Any

from transformers import AutoTokenizer
from transformers import PreTrainedTokenizerBase as Tokenizer

from qwen_pipeline.errors import ModelSourceError
from qwen_pipeline.model.source import ModelSource

_LOGGER = logging.getLogger(__name__)
# In the order of preference: tokens that no chat template writes.
_PAD_CANDIDATES = (
    "<|endoftext|>",
    "<|finetune_right_pad_id|>",
    "<|fim_pad|>",
    "<|vision_pad|>",
    "<pad>",
    "<unk>",
)


@dataclass(frozen=True)
class TokenizerSource:
    """What a tokenizer is loaded from, as a value that travels to other processes.

    Attributes:
        model: The base model.
        options: Pairs of ``load_tokenizer``'s keyword arguments.
    """

    model: ModelSource
    options: tuple[tuple[str, Any], ...] = ()

    def load(self) -> Tokenizer:
        """The tokenizer; see ``load_tokenizer``."""
        return load_tokenizer(self.model, **dict(self.options))


def load_tokenizer(source: ModelSource, **tokenizer_kwargs: Any) -> Tokenizer:
    """The model's tokenizer with a chat template and a pad token that is never trained on.

    Args:
        source: The base model.
        **tokenizer_kwargs: ``padding_side``, ``truncation_side`` and what else the tokenizer's
            constructor takes; None means the model's own value.

    Raises:
        ModelSourceError: It cannot be read, has no chat template, or no token that can serve as padding.
    """
    given = {key: value for key, value in tokenizer_kwargs.items() if value is not None}
    directory = source.directory(weights=False)
    try:
        tokenizer: Tokenizer = AutoTokenizer.from_pretrained(directory, **given)
    except Exception as error:  # a broken file makes tokenizers raise no other class
        raise ModelSourceError(
            f"model_name={source.name}: the tokenizer in {directory} cannot be read ({error}). "
            "Remove its files and copy or download them again."
        ) from error
    if not tokenizer.chat_template:
        raise ModelSourceError(
            f"model_name={source.name}: its tokenizer has no chat template, so prompts cannot be built; "
            "use an instruct or thinking model, or add chat_template.jinja to the folder."
        )
    _set_pad_token(tokenizer, source.name)
    return tokenizer


def _set_pad_token(tokenizer: Tokenizer, name: str) -> None:
    """Give the tokenizer a pad token that differs from every token that ends a turn."""
    stops = {tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>")}
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id not in stops:
        return
    vocabulary = tokenizer.get_vocab()
    for candidate in (*_PAD_CANDIDATES, *sorted(tokenizer.all_special_tokens)):
        if candidate in vocabulary and vocabulary[candidate] not in stops:
            before = tokenizer.pad_token
            tokenizer.pad_token = candidate
            _LOGGER.info("Pad token of %s: %s (was %s)", name, candidate, before)
            return
    raise ModelSourceError(
        f"model_name={name}: its tokenizer has no pad token, and no special token but the end of turn that "
        'could serve; set tokenizer_kwargs: {pad_token: "…"} to a token of its vocabulary.'
    )
