"""A transcript in one text is told apart in time that grows with the text alone."""

from qwen_pipeline.text.formats.transcript import turns_of_transcript
from work_growth import grows_in_proportion


def test_a_long_run_of_hashes_takes_time_in_proportion() -> None:
    assert turns_of_transcript("#" * 20_000) is None  # 29 seconds once
    assert grows_in_proportion(lambda many: turns_of_transcript("#" * many), 4000)


def test_hashes_mark_a_speaker() -> None:
    turns = turns_of_transcript("## Human: Hi? ######## Assistant: Yes.")
    assert turns == [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Yes."}]
