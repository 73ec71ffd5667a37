import io

from rich.console import Console
from transformers import PreTrainedTokenizerBase as Tokenizer

from chat.conversation import assistant, user
from qwen_pipeline.chat.labels import EncodedTurn, LabelRules, TurnEncoder
from qwen_pipeline.chat.preview import CONTEXT_STYLE, TRAINED_STYLE, preview_rows, render_row


def encode(tokenizer: Tokenizer, thinking: str = "empty") -> EncodedTurn:
    encoder = TurnEncoder(tokenizer, LabelRules(128, thinking=thinking))  # type: ignore[arg-type]
    (turn,) = encoder.encode([user("学习率？"), assistant("步长。")])
    assert isinstance(turn, EncodedTurn)
    return turn


def test_exactly_the_trained_tokens_are_coloured(tokenizer: Tokenizer) -> None:
    row = encode(tokenizer, thinking="masked")
    text = render_row(tokenizer, row.input_ids, row.labels)
    styled = {str(span.style): text.plain[span.start : span.end] for span in text.spans}
    prompt = "<|im_start|>user\n学习率？<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    assert styled == {CONTEXT_STYLE: prompt, TRAINED_STYLE: "步长。<|im_end|>"}


def test_only_as_many_rows_as_asked_are_printed_with_their_counts(tokenizer: Tokenizer) -> None:
    row = encode(tokenizer)
    rows = [
        {"input_ids": row.input_ids, "labels": row.labels, "example_id": f"row-{number}"}
        for number in range(3)
    ]
    output = io.StringIO()
    console = Console(file=output, width=200, force_terminal=True)
    for text in preview_rows(tokenizer, rows, count=2):
        console.print(text)
    printed = output.getvalue()
    assert "row-1" in printed
    assert "row-2" not in printed
    trained = len(row.input_ids) - row.prompt_tokens
    assert f"{len(row.input_ids)} tokens, {trained} of them trained" in printed
    assert "\x1b[1;32m" in printed
