"""The demo model's tokenizer: byte-level BPE with Qwen's rules for splitting text, trained on the samples."""

from collections.abc import Sequence

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerBase, Qwen2Tokenizer

from qwen_pipeline.model.demo_recipe import (
    END_OF_TEXT,
    END_OF_TURN,
    SPECIAL_TOKENS,
    STRUCTURE_TOKENS,
    DemoRecipe,
    chat_template,
)

# Source: tokenizer.json of Qwen/Qwen3-4B-Thinking-2507, pre_tokenizer.
QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train_tokenizer(texts: Sequence[str], recipe: DemoRecipe) -> PreTrainedTokenizerBase:
    """Train the vocabulary; the control tokens come last, as in Qwen's.

    Args:
        texts: What the merges are learnt from; the order does not matter.
        recipe: Gives the size of the vocabulary, control tokens included.
    """
    bpe = Tokenizer(BPE())
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    bpe.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = BpeTrainer(
        vocab_size=recipe.vocabulary - len(SPECIAL_TOKENS) - len(STRUCTURE_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(sorted(_without_tokens(text) for text in texts), trainer)
    bpe.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    bpe.add_tokens([AddedToken(token, special=False, normalized=False) for token in STRUCTURE_TOKENS])
    return Qwen2Tokenizer(
        tokenizer_object=bpe,
        eos_token=END_OF_TURN,
        pad_token=END_OF_TEXT,
        unk_token=None,
        bos_token=None,
        model_max_length=recipe.positions,
        chat_template=chat_template(),
    )


def _without_tokens(text: str) -> str:
    """Control tokens are whole by themselves; merges must not be spent on their letters."""
    for token in (*SPECIAL_TOKENS, *STRUCTURE_TOKENS):
        text = text.replace(token, "")
    return text
