"""The model's own chat template: prompts as at inference, and what ends a turn."""

from collections.abc import Mapping, Sequence

from transformers import PreTrainedTokenizerBase as Tokenizer

from qwen_pipeline.chat.messages import prepare_messages
from qwen_pipeline.errors import UnsupportedModelError

_QUESTION, _ANSWER = "question-0", "answer-0"


def prompt_ids(tokenizer: Tokenizer, messages: Sequence[Mapping[str, str]]) -> list[int]:
    """Token ids of the prompt that asks for the next answer.

    Args:
        tokenizer: With the model's chat template.
        messages: The conversation up to and including the question.

    Returns:
        Exactly ``apply_chat_template(messages, add_generation_prompt=True)``, control tokens in the text
        escaped first.
    """
    ids: list[int] = tokenizer.apply_chat_template(
        prepare_messages(messages),
        add_generation_prompt=True,
        tokenize=True,
        return_dict=False,
        tokenizer_kwargs={"verbose": False},  # a prompt longer than the model's limit is ours to cut
    )
    return ids


def prompt_text(tokenizer: Tokenizer, messages: Sequence[Mapping[str, str]]) -> str:
    """The same prompt as text."""
    text: str = tokenizer.apply_chat_template(
        prepare_messages(messages), add_generation_prompt=True, tokenize=False
    )
    return text


def conversation_text(tokenizer: Tokenizer, messages: Sequence[Mapping[str, str]]) -> str:
    """A conversation that ends with an answer, as the template writes it."""
    text: str = tokenizer.apply_chat_template(prepare_messages(messages), tokenize=False)
    return text


def end_of_turn(tokenizer: Tokenizer) -> str:
    """The token that the template writes right after an answer, and that must be trained to stop there.

    Raises:
        UnsupportedModelError: The template writes none, or not as one token.
    """
    question = {"role": "user", "content": _QUESTION}
    whole = conversation_text(tokenizer, [question, {"role": "assistant", "content": _ANSWER}])
    after = whole.rpartition(_ANSWER)[2]
    ids = tokenizer(after, add_special_tokens=False, verbose=False)["input_ids"]
    token = str(tokenizer.convert_ids_to_tokens(ids[0])) if ids else ""
    if not token or not after.startswith(token) or ids[0] == tokenizer.pad_token_id:
        raise UnsupportedModelError(
            f"The chat template of {tokenizer.name_or_path} ends an answer with {after!r}, not with one "
            "token different from the pad token; a tuned model would never learn to stop."
        )
    return token
