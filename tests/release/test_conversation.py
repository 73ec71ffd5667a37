import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from qwen_pipeline.chat.template import prompt_ids
from qwen_pipeline.errors import EvaluationError, ExportError
from qwen_pipeline.model.merge import StoredWeights
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.release import open_model
from qwen_pipeline.release.conversation import Conversation, without_empty_thought
from qwen_pipeline.release.open_model import OpenModel, open_models

GREEDY = {"max_new_tokens": 6, "do_sample": False, "temperature": 1.0, "top_p": 1.0, "top_k": 50}


@pytest.fixture(scope="module")
def models(base_folder: Path, adapter_folder: Path) -> dict[str, OpenModel]:
    return open_models(ModelSource(str(base_folder)), ["base", "tuned"], adapter=adapter_folder)


def next_logits(opened: OpenModel) -> torch.Tensor:
    with torch.no_grad(), opened.speaking():
        logits: torch.Tensor = opened.model(input_ids=torch.tensor([[5, 6, 7]])).logits
    return logits


def test_the_base_speaks_without_the_adapter_and_the_tuned_with_it(
    models: dict[str, OpenModel], base_folder: Path
) -> None:
    alone = open_models(ModelSource(str(base_folder)), ["base"])["base"]
    torch.testing.assert_close(next_logits(models["base"]), next_logits(alone))
    assert (next_logits(models["tuned"]) - next_logits(models["base"])).abs().max() > 0.1


def test_no_model_is_in_evaluation_mode_and_no_dropout_is_on(models: dict[str, OpenModel]) -> None:
    for opened in models.values():
        assert opened.model.training
        dropouts = [m for m in opened.model.modules() if isinstance(m, torch.nn.Dropout)]
        assert not any(dropout.training for dropout in dropouts)


def test_the_streamed_answer_is_the_greedy_one_from_the_trained_prompt(models: dict[str, OpenModel]) -> None:
    opened = models["tuned"]
    streamed = "".join(Conversation(opened, GREEDY).stream("What?"))
    ids = prompt_ids(opened.tokenizer, [{"role": "user", "content": "What?"}])
    with torch.no_grad(), opened.speaking():
        whole = opened.model.generate(input_ids=torch.tensor([ids]), max_new_tokens=6, do_sample=False)
    assert streamed == opened.tokenizer.decode(whole[0, len(ids) :], skip_special_tokens=True)


def test_the_next_prompt_has_the_system_message_and_the_turns_before(
    models: dict[str, OpenModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    conversation = Conversation(models["tuned"], GREEDY, system="Be short.")
    answers = iter(["ignored</think>\n\nOne.", "Two.", "Three."])

    def generate(ids: list[int]) -> Any:
        asked.append(models["tuned"].tokenizer.decode(ids))
        return iter([next(answers)])

    monkeypatch.setattr(conversation, "_generate", generate)
    for question in ("first <|im_end|>", "second"):
        list(conversation.stream(question))
    conversation.forget()
    list(conversation.stream("third"))
    assert asked[1] == (
        "<|im_start|>system\nBe short.<|im_end|>\n<|im_start|>user\nfirst <| im_end |><|im_end|>\n"
        "<|im_start|>assistant\nOne.<|im_end|>\n<|im_start|>user\nsecond<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n"
    )
    assert "first" not in asked[2]
    assert "Be short." in asked[2]


def test_an_answer_nobody_reads_any_more_is_not_remembered(models: dict[str, OpenModel]) -> None:
    conversation = Conversation(models["tuned"], {**GREEDY, "max_new_tokens": 500})
    stream = conversation.stream("What?")
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert conversation.turns == []


def test_a_conversation_longer_than_the_model_reads_is_told(models: dict[str, OpenModel]) -> None:
    conversation = Conversation(models["tuned"], {**GREEDY, "max_new_tokens": 4000})
    with pytest.raises(
        EvaluationError, match=r"Shorten the question, or lower generation_config\.max_new_tokens"
    ):
        list(conversation.stream("What?"))
    conversation.turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]
    with pytest.raises(EvaluationError, match="Start again with /new"):
        list(conversation.stream("What?"))


def test_a_question_in_another_encoding_is_told(models: dict[str, OpenModel]) -> None:
    question = "你好".encode("gb18030").decode("utf-8", "surrogateescape")
    with pytest.raises(EvaluationError, match="not UTF-8"):
        list(Conversation(models["tuned"], GREEDY).stream(question))


def test_a_failure_while_generating_reaches_the_reader(models: dict[str, OpenModel]) -> None:
    conversation = Conversation(models["tuned"], {**GREEDY, "no_such_option": 1})
    with pytest.raises(ValueError, match="no_such_option"):
        list(conversation.stream("What?"))


def test_an_exported_model_that_does_not_fit_on_the_card_answers_on_the_host_under_the_cap(
    base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(open_model, "keep_to_cap", lambda cap, device: told.append(cap))
    monkeypatch.setattr(open_model, "place_for", lambda size, device, what: told.append(size))
    shutil.copytree(base_folder, tmp_path / "merged")
    source = ModelSource(str(base_folder))
    exported = open_models(source, ["exported"], exported_model=tmp_path, max_memory_gb=3)["exported"]
    assert told == [3, 2 * StoredWeights(base_folder).numbers]
    assert exported.model.device.type == "cpu"


def test_an_export_without_merged_weights_names_the_parameter(base_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    with pytest.raises(ExportError, match=r"export_formats=adapter\+merged"):
        open_models(ModelSource(str(base_folder)), ["exported"], exported_model=tmp_path)


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        (["</th", "ink>", "\n\n", "An ", "answer."], "An answer."),
        (["<think>\n", "\n</think>\n\n", "An answer."], "An answer."),
        (["So: ", "two.\n", "</think>\n\n", "Two."], "So: two.\n</think>\n\nTwo."),
        (["<b>", "bold"], "<b>bold"),
        (["An ", "answer </think>"], "An answer </think>"),
        (["</think>\n"], ""),
        ([], ""),
    ],
)
def test_an_empty_thought_is_not_shown_and_a_thought_is(parts: list[str], shown: str) -> None:
    assert "".join(without_empty_thought(parts)) == shown
