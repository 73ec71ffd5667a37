"""A transcript in one text is told apart in time that grows with the text alone."""

import pytest

from qwen_pipeline.text.formats.transcript import turns_of_transcript
from work_growth import grows_in_proportion


def test_a_long_run_of_hashes_takes_time_in_proportion() -> None:
    assert turns_of_transcript("#" * 20_000) is None  # 29 seconds once
    assert grows_in_proportion(lambda many: turns_of_transcript("#" * many), 4000)


def test_hashes_mark_a_speaker() -> None:
    turns = turns_of_transcript("## Human: Hi? ######## Assistant: Yes.")
    assert turns == [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Yes."}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHi? [/INST] Yes. </s>", ["Be kind.", "Hi?", "Yes."]),
        ("<|im_start|>user\nHi?<|im_end|>\n<|im_start|>assistant\nYes.", ["Hi?", "Yes."]),
        ("Do it.\n\n### Instruction:\nHi?\n\n### Input:\n\n### Response:\nYes.", ["Do it.", "Hi?", "Yes."]),
        ("用户：Hi?\n助手：Yes.", ["Hi?", "Yes."]),
        ("### 问题:\nHi?\n\n### 回答:\nYes.", ["Hi?", "Yes."]),
    ],
)
def test_the_usual_templates_are_told_apart(text: str, said: list[str]) -> None:
    assert [turn["content"] for turn in turns_of_transcript(text) or []] == said
