"""A conversation with a model: the prompt is the one that was trained on, the answer comes as it is made."""

import re
from collections.abc import Iterable, Iterator, Mapping
from threading import Thread
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer

from qwen_pipeline.chat.messages import Message
from qwen_pipeline.chat.template import end_of_turn, prompt_ids
from qwen_pipeline.errors import EvaluationError
from qwen_pipeline.evaluation.generation import generation_arguments
from qwen_pipeline.release.open_model import OpenModel

_EMPTY_BLOCKS = ("<think></think>", "</think>")
_EMPTY_THOUGHT = re.compile(r"\s*(?:<think>\s*)?</think>\s*")


class Conversation:
    """Turns so far, and how the next answer is made."""

    def __init__(self, model: OpenModel, generation: Mapping[str, Any], system: str | None = None) -> None:
        """Start without a turn.

        Args:
            model: Who answers.
            generation: ``generation_config`` of the parameters.
            system: A system message that stays before every question.
        """
        self._model = model
        self._arguments = generation_arguments(generation)
        self._system: list[Message] = [{"role": "system", "content": system}] if system else []
        self.turns: list[Message] = []

    def forget(self) -> None:
        """Start again, with the system message only."""
        self.turns = []

    def stream(self, question: str) -> Iterator[str]:
        """Ask, and yield the answer's text as it is generated; the thought is part of it.

        A reader that stops early stops the generation, and that question is not remembered.

        Args:
            question: The user's turn.

        Raises:
            EvaluationError: The conversation has become longer than the model can read, or the question is no text.
        """
        _require_text(question)
        asked = [*self.turns, {"role": "user", "content": question}]
        tokenizer = self._model.tokenizer
        ids = prompt_ids(tokenizer, [*self._system, *asked])
        self._require_room(len(ids))
        answer = ""
        for part in self._generate(ids):
            answer += part
            yield part
        opened = "<think>\n" if _opens_thought(tokenizer, ids) else ""
        self.turns = [*asked, {"role": "assistant", "content": opened + answer}]

    def _generate(self, ids: list[int]) -> Iterator[str]:
        model, tokenizer = self._model.model, self._model.tokenizer
        streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
        stop, failures = _Stop(), list[BaseException]()
        batch = torch.tensor([ids], device=model.device)

        def generate() -> None:
            try:
                with torch.no_grad(), self._model.speaking():
                    model.generate(
                        input_ids=batch, attention_mask=torch.ones_like(batch), streamer=streamer,
                        stopping_criteria=StoppingCriteriaList([stop]), use_cache=True,
                        pad_token_id=tokenizer.pad_token_id,
                        eos_token_id=tokenizer.convert_tokens_to_ids(end_of_turn(tokenizer)),
                        **self._arguments,
                    )  # fmt: skip
            except BaseException as failure:  # told in the thread that reads
                failures.append(failure)
                streamer.end()

        thread = Thread(target=generate, daemon=True)
        thread.start()
        try:
            yield from (part for part in streamer if part)
        finally:
            stop.wanted = True
            thread.join()
        if failures:
            raise failures[0]

    def _require_room(self, prompt_tokens: int) -> None:
        room = int(getattr(self._model.model.config, "max_position_embeddings", 0) or 0)
        if room and prompt_tokens + int(self._arguments["max_new_tokens"]) > room:
            remedy = "Start again with /new" if self.turns else "Shorten the question"
            raise EvaluationError(
                f"The conversation has {prompt_tokens} tokens and the answer may have "
                f"{self._arguments['max_new_tokens']}; the model reads {room}. {remedy}, or lower "
                "generation_config.max_new_tokens."
            )


class _Stop(StoppingCriteria):  # type: ignore[misc]  # transformers is not followed
    """Ends a generation that nobody reads any more."""

    def __init__(self) -> None:
        self.wanted = False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self.wanted, device=input_ids.device)


def _require_text(question: str) -> None:
    """Refuse bytes that are no characters: Python keeps them as halves of surrogate pairs."""
    try:
        question.encode()
    except UnicodeEncodeError as error:
        raise EvaluationError(
            f"The question is not UTF-8: character {error.start + 1} cannot be read. Save or type it as UTF-8 "
            "(iconv -f GB18030 -t UTF-8 for a file in GBK)."
        ) from error


def without_empty_thought(parts: Iterable[str]) -> Iterator[str]:
    """An answer as people read it: an empty thinking block before it is left out, a thought stays."""
    held: str | None = ""
    for part in parts:
        if held is None:
            yield part
            continue
        held += part
        seen = "".join(held.split())
        if not any(block.startswith(seen) for block in _EMPTY_BLOCKS):
            yield _EMPTY_THOUGHT.sub("", held, count=1)
            held = None
    if held:
        yield _EMPTY_THOUGHT.sub("", held, count=1)


def _opens_thought(tokenizer: Any, ids: list[int]) -> bool:
    """Whether the prompt itself opens the thinking block, so that the answer starts inside it."""
    return bool(tokenizer.decode(ids[-8:]).rstrip().endswith("<think>"))
