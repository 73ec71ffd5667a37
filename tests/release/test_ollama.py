from pathlib import Path

import pytest
from transformers import AutoTokenizer
from transformers import PreTrainedTokenizerBase as Tokenizer

from qwen_pipeline.chat.template import prompt_text
from qwen_pipeline.errors import ExportError
from qwen_pipeline.release.ollama import render_modelfile, stops_of, write_modelfile
from qwen_pipeline.release.turn_template import read_turn_template

GREEDY = {
    "max_new_tokens": 64, "do_sample": False, "temperature": 0.6, "top_p": 0.9, "top_k": 20, "repetition_penalty": 1.1
}  # fmt: skip
TURNS = [
    {"role": "system", "content": 'Be "short" {{ now }}.'},
    {"role": "user", "content": "Why?\n\n为什么？"},
    {"role": "assistant", "content": "Because."},
    {"role": "user", "content": "  And? \\n "},
]
WITH_DEFAULT = (
    "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\nI am Q.<|im_end|>\n' }}{% endif %}"
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.fixture(params=["demo", "real", "default system"])
def tokenizer(request: pytest.FixtureRequest, base_folder: Path) -> Tokenizer:
    if request.param == "real":
        shared: Path = request.getfixturevalue("shared_dir")
        return AutoTokenizer.from_pretrained(shared / "qwen3-4b-thinking-2507")
    loaded = AutoTokenizer.from_pretrained(base_folder)
    if request.param == "default system":
        loaded.chat_template = WITH_DEFAULT
    return loaded


def test_ollamas_prompt_is_the_chat_templates(tokenizer: Tokenizer) -> None:
    modelfile = write_modelfile("m.gguf", read_turn_template(tokenizer), GREEDY, 576)
    for first, last in ((0, 2), (1, 2), (0, 4), (1, 4)):
        assert render_modelfile(modelfile, TURNS[first:last]) == prompt_text(tokenizer, TURNS[first:last])


def test_thoughts_of_earlier_answers_are_kept_out_as_the_chat_template_keeps_them_out(
    base_folder: Path,
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base_folder)
    turns = [*TURNS[:2], {"role": "assistant", "content": "<think>\nHm.\n</think>\n\nBecause."}, TURNS[3]]
    modelfile = write_modelfile("m.gguf", read_turn_template(tokenizer), GREEDY, 576)
    assert ".Thinking" in modelfile
    assert render_modelfile(modelfile, turns) == prompt_text(tokenizer, turns)


def test_the_stop_word_and_the_sampling_are_those_of_the_parameters(tokenizer: Tokenizer) -> None:
    turns = read_turn_template(tokenizer)
    greedy = write_modelfile("m.gguf", turns, GREEDY, 576)
    assert stops_of(greedy) == ["<|im_end|>"]
    assert "PARAMETER temperature 0\n" in greedy
    assert "top_p" not in greedy
    sampled = write_modelfile("m.gguf", turns, {**GREEDY, "do_sample": True}, 576)
    assert "PARAMETER temperature 0.6\n" in sampled
    assert "PARAMETER top_k 20\n" in sampled


def test_a_template_that_leaves_turns_out_is_refused(base_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base_folder)
    tokenizer.chat_template = (
        "{{ '<|im_start|>user\n' + messages[-1].content + '<|im_end|>\n' }}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    with pytest.raises(ExportError, match="leave ollama out of export_formats"):
        read_turn_template(tokenizer)


def test_a_modelfile_with_an_unknown_action_is_not_read_as_if_it_were_known(tokenizer: Tokenizer) -> None:
    modelfile = write_modelfile("m.gguf", read_turn_template(tokenizer), GREEDY, 576)
    with pytest.raises(ExportError, match=r"\.Response"):
        render_modelfile(modelfile.replace('"""\nPARAM', '{{ .Response }}"""\nPARAM', 1), TURNS[1:2])


def test_a_context_is_asked_for_where_ollamas_own_would_cut_a_row(tokenizer: Tokenizer) -> None:
    turns = read_turn_template(tokenizer)
    assert "num_ctx" not in write_modelfile("m.gguf", turns, GREEDY, 4096)
    assert "\nPARAMETER num_ctx 9216\n" in write_modelfile("m.gguf", turns, GREEDY, 9216)
