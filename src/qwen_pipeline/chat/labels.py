r"""From a conversation to rows of token ids with labels.

Prompt and completion are tokenised apart. With a template whose generation prompt ends in
``<think>\n`` the whole text tokenises differently (the line breaks of an empty thinking block merge),
and a model trained on that never sees the prompt it is asked with. Each trained answer becomes a row of
its own, because the template drops earlier thoughts.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase as Tokenizer

from qwen_pipeline.chat import IGNORE_INDEX
from qwen_pipeline.chat.messages import Message, prepare_messages, split_answer
from qwen_pipeline.chat.template import conversation_text, end_of_turn, prompt_ids, prompt_text
from qwen_pipeline.chat.truncation import cut_text, fit_prompt, shortest_prompt_tokens

Completion = tuple[list[int], list[int]]  # ids and labels
_EMPTY_BLOCK = re.compile(r"(?:<think>)?\s*</think>\s*")


class Unusable(StrEnum):
    """Why an answer cannot be trained; the values are codes of the reject tables."""

    ANSWER_TOO_LONG = "answer_too_long"
    NO_TRAINED_TOKEN = "no_trained_token"
    NO_REASONING = "no_reasoning"
    PROMPT_MISMATCH = "prompt_mismatch"
    TEMPLATE_ERROR = "template_error"
    CONTROL_TOKEN = "control_token"


@dataclass(frozen=True)
class LabelRules:
    """What is trained, and what happens at the limit; see ``params/tokenize.py`` for the meanings."""

    max_sequence_length: int
    thinking: Literal["empty", "masked", "refuse"] = "empty"
    train_on_turns: Literal["all", "last"] = "all"
    truncation_side: Literal["left", "right"] = "left"
    answer_overflow: Literal["reject", "cut"] = "reject"


@dataclass(frozen=True)
class EncodedTurn:
    """One row: a prompt without loss and the answer that is trained.

    Attributes:
        input_ids: Prompt and completion.
        labels: The same ids, ``IGNORE_INDEX`` where nothing is trained.
        prompt_tokens: Number of leading ids that are the inference prompt.
        question_cut: A user's text was shortened.
        answer_cut: The answer was shortened.
    """

    input_ids: list[int]
    labels: list[int]
    prompt_tokens: int
    question_cut: bool = False
    answer_cut: bool = False


@dataclass(frozen=True)
class RefusedTurn:
    """An answer that is not trained, why, and the tokens a row for it would need (0: any number)."""

    reason: Unusable
    detail: str
    needed_tokens: int = 0


class TurnEncoder:
    """Encodes conversations for one tokenizer by fixed rules."""

    def __init__(self, tokenizer: Tokenizer, rules: LabelRules) -> None:
        self._tokenizer = tokenizer
        self.rules = rules
        self._end = end_of_turn(tokenizer)
        self._special = frozenset(tokenizer.all_special_ids)

    def encode(self, messages: Sequence[Mapping[str, str]]) -> list[EncodedTurn | RefusedTurn]:
        """A row for each trained answer of a conversation, in its order; empty where there is none."""
        prepared = prepare_messages(messages)
        turns = [index for index, message in enumerate(prepared) if message["role"] == "assistant"]
        if self.rules.train_on_turns == "last":
            turns = turns[-1:]
        return [self._encode_checked(prepared[:index], prepared[index]) for index in turns]

    def _encode_checked(self, context: list[Message], answer: Message) -> EncodedTurn | RefusedTurn:
        try:
            turn = self._encode_turn(context, answer)
        except TemplateError as error:
            return RefusedTurn(Unusable.TEMPLATE_ERROR, f"the chat template refuses it: {error}")
        if isinstance(turn, EncodedTurn) and not self._special.isdisjoint(
            turn.input_ids[turn.prompt_tokens : -1]
        ):
            return RefusedTurn(Unusable.CONTROL_TOKEN, "the answer's text becomes a control token")
        return turn

    def _encode_turn(self, context: list[Message], answer: Message) -> EncodedTurn | RefusedTurn:
        parts = split_answer(answer["content"])
        if not parts.text.strip():
            return RefusedTurn(Unusable.NO_TRAINED_TOKEN, "the answer is empty")
        if not any(message["role"] == "user" for message in context):
            return RefusedTurn(Unusable.NO_TRAINED_TOKEN, "no question before the answer")
        if parts.reasoning is None and self.rules.thinking == "refuse":
            return RefusedTurn(Unusable.NO_REASONING, "no reasoning, and thinking=refuse asks for it")
        prompt = prompt_text(self._tokenizer, context)
        head = self._head(prompt, conversation_text(self._tokenizer, [*context, answer]), parts.text)
        if head is None:
            return RefusedTurn(
                Unusable.PROMPT_MISMATCH, "the template writes this turn unlike its own prompt"
            )
        mask_head = parts.reasoning is None and self.rules.thinking == "masked"
        completion = self._ids(head, parts.text, mask_head)
        ids = prompt_ids(self._tokenizer, context)
        if len(ids) + len(completion[0]) <= self.rules.max_sequence_length:
            return _row(ids, completion)
        return self._shorten(context, head, parts.text, mask_head, completion)

    def _shorten(
        self, context: list[Message], head: str, text: str, mask_head: bool, completion: Completion
    ) -> EncodedTurn | RefusedTurn:
        """Make a row fit: by the question as far as that goes, then by the answer where that is asked."""
        limit = self.rules.max_sequence_length
        side = self.rules.truncation_side
        shortest = shortest_prompt_tokens(self._tokenizer, context, side)
        answer_cut = shortest + len(completion[0]) > limit
        if answer_cut:
            shorter = self._cut_answer(head, text, limit - shortest, mask_head)
            if shorter is None:
                needed = shortest + len(completion[0])
                detail = f"needs {needed} tokens, max_sequence_length is {limit}"
                return RefusedTurn(Unusable.ANSWER_TOO_LONG, detail, needed)
            completion = shorter
        fitted, cut = fit_prompt(self._tokenizer, context, limit - len(completion[0]), side)
        return _row(prompt_ids(self._tokenizer, fitted), completion, cut, answer_cut)

    def _head(self, prompt: str, whole: str, text: str) -> str | None:
        """What the template writes between the prompt and the answer (a thinking block or nothing).

        None where the template does not go on from its own generation prompt.
        """
        completion, end, _ = whole.removeprefix(prompt).rpartition(self._end)
        if not whole.startswith(prompt) or not end or not completion.endswith(text):
            return None
        return completion[: len(completion) - len(text)]

    def _ids(self, head: str, text: str, mask_head: bool) -> Completion:
        """Ids and labels of a completion; the end of turn is always trained."""
        if mask_head and _EMPTY_BLOCK.fullmatch(head):
            context, trained = self._tokenize(head), self._tokenize(text + self._end)
            return context + trained, [IGNORE_INDEX] * len(context) + trained
        ids = self._tokenize(head + text + self._end)
        return ids, list(ids)

    def _cut_answer(self, head: str, text: str, room: int, mask_head: bool) -> Completion | None:
        """The completion with the end of its answer dropped so that it fits; None where that is not asked."""
        if self.rules.answer_overflow == "reject":
            return None
        while text:
            ids, labels = self._ids(head, text, mask_head)
            if len(ids) <= room:
                return ids, labels
            text = cut_text(self._tokenizer, text, len(ids) - room, "right")
        return None

    def _tokenize(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids


def _row(
    prompt: list[int], completion: Completion, question_cut: bool = False, answer_cut: bool = False
) -> EncodedTurn:
    ids, labels = completion
    masked = [IGNORE_INDEX] * len(prompt)
    return EncodedTurn(prompt + ids, masked + labels, len(prompt), question_cut, answer_cut)
