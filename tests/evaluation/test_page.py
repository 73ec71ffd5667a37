"""The page says what the report says, stands alone, and works in a browser."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from qwen_pipeline.evaluation.held_out import HeldOut
from qwen_pipeline.evaluation.page import mark_difference, render_page
from qwen_pipeline.evaluation.report import build_report, prediction_rows

QUESTIONS = {"a": "What is <b>LoRA</b>?", "b": "显存不够怎么办？"}
REFERENCES = {"a": "A small adapter.", "b": "把批大小设为一。"}


def measured(loss: float, answers: dict[str, str], scores: dict[str, float]) -> dict[str, Any]:
    row = {"repetition": 0.0, "irrelevance": 0.0, "format_error": 0.0, **scores}
    figures = {"loss": loss, "perplexity": 2.0, "bits_per_character": loss, "token_accuracy": 0.5}
    return {
        "scores": {**figures, **row},
        "groups": {"language": {"en": {**figures, "rows": 1.0}}},
        "rows": [
            {"example_id": n, "loss": loss * 10, "tokens": 10, "characters": 20} for n in ("a", "b") * 10
        ],
        "answers": {name: {"text": text, "scores": row} for name, text in answers.items()},
        "general": {"bits_per_character": loss, "thinking_rate": 1.0},
        "held_out": {"split": "test", "test_rejected": 0},
    }


@pytest.fixture
def page() -> str:
    held_out = HeldOut(
        rows=[],
        conversations={
            name: [
                {"role": "user", "content": QUESTIONS[name]},
                {"role": "assistant", "content": REFERENCES[name]},
            ]
            for name in QUESTIONS
        },
        source_files={"a": "faq.md", "b": "问答.md"},
        sample=["a", "b"],
    )
    base = measured(2.0, {"a": "Nothing.", "b": "不知道。"}, {"chrf": 0.1, "recognised": 0.0})
    tuned = measured(0.5, {"a": "A small adapter!", "b": "设为一。" * 9}, {"chrf": 0.8, "recognised": 1.0})
    tuned["answers"]["b"]["scores"] = {**tuned["answers"]["b"]["scores"], "repetition": 1.0}
    train = {
        "losses": [3.0, 2.0, float("nan"), 1.0],
        "learning_rates": [1e-3] * 4,
        "validation": [{"step": 4, "loss": 1.5}],
        "memory": {"over_time": [{"step": 1.0, "gpu_reserved_gib": 3.1}, {"step": 4.0, "gpu_reserved_gib": 3.2}], "planned": {"reserved_gib": 3.4}},
    }  # fmt: skip
    return render_page(build_report(base, tuned, seed=0), prediction_rows(base, tuned, held_out), train)


def test_the_verdict_comes_first_and_text_is_escaped(page: str) -> None:
    verdict = "Better: the tuned model&#39;s loss on 20 held-out answers is 75% lower"
    assert page.index(verdict) < page.index("<table")
    assert "What is &lt;b&gt;LoRA&lt;/b&gt;?" in page
    assert "显存不够怎么办？" in page


def test_a_page_of_one_validation_row_is_drawn_without_an_interval() -> None:
    sides = [measured(loss, {}, {}) for loss in (2.0, 0.5)]
    for side in sides:
        side["rows"] = side["rows"][:1]
        side["held_out"] = {"split": "validation", "test_rejected": 1}
    page = render_page(build_report(sides[0], sides[1], seed=0), [], {})
    assert "Evaluation on the validation split" in page
    assert "tokenize rejected the only test example" in page
    assert '<td class="number wide"></td>' in page


def test_the_page_asks_the_network_for_nothing(page: str) -> None:
    assert not re.search(r"""(?:src|href)\s*=|https?://(?!www\.w3\.org)|url\(|@import""", page)


def test_curves_memory_and_distributions_are_drawn(page: str) -> None:
    assert page.count("<svg") == 5
    for title in (
        "loss, nats a token",
        "learning rate",
        "memory, GiB",
        "answers by likeness",
        "answers by length",
    ):
        assert title in page
    assert "planned" in page


def test_differences_are_marked_in_words_and_in_ideographs() -> None:
    assert mark_difference("Set it to one.", "Set it to <two>.") == (
        "Set it to <del>one</del><ins>&lt;two&gt;</ins>."
    )
    assert mark_difference("把它设为一。", "把它设为二。") == "把它设为<del>一</del><ins>二</ins>。"


@pytest.mark.slow
def test_the_thought_of_a_reference_is_not_what_an_answer_lacks() -> None:
    row = {
        "question": "Why?", "reference": "<think>\nHm, why.\n</think>\n\nSo.", "base_answer": "No.",
        "tuned_answer": "So.", "base_chrf": 0.0, "tuned_chrf": 1.0, "tuned_faults": "", "source_file": "a.md",
    }  # fmt: skip
    sides = [measured(loss, {}, {}) for loss in (2.0, 0.5)]
    page = render_page(build_report(sides[0], sides[1], seed=0), [row], {})
    assert "Hm, why." in page
    assert "<del>" not in page


def test_an_answer_that_repeats_itself_is_compared_in_reasonable_time() -> None:
    start = time.process_time()
    marked = mark_difference("循环的回答 is a loop. " * 180, "一直 is a loop, a loop 的 " * 160)
    assert "<ins>" in marked or "<del>" in marked
    assert time.process_time() - start < 2


def test_filters_work_in_a_real_browser(page: str, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        if os.environ.get("CI"):
            pytest.fail("a browser is needed: install chromium")
        pytest.skip("no chromium on this machine")
    act = """<script>addEventListener("load", () => {
      find("fault").value = "repetition"; find("fault").dispatchEvent(new Event("input"));
      document.body.dataset.repetition = rows.filter((row) => !row.hidden).length;
      find("fault").value = ""; find("text").value = "LoRA"; find("text").dispatchEvent(new Event("input"));
      document.body.dataset.text = rows.filter((row) => !row.hidden).length;
      find("text").value = ""; find("file").value = "问答.md"; find("file").dispatchEvent(new Event("input"));
      document.body.dataset.file = rows.filter((row) => !row.hidden).map((row) => row.dataset.file).join();
      find("file").value = ""; find("worst").checked = true; find("worst").dispatchEvent(new Event("input"));
      document.body.dataset.all = find("count").textContent;
      find("language").click();
      const shown = (part) => part.getClientRects().length > 0;
      document.body.dataset.english = [...document.querySelectorAll(".en")].filter(shown).length;
      document.body.dataset.verdicts = [...document.querySelectorAll("td.better")].every((cell) => cell.getBoundingClientRect().right <= innerWidth);
      document.body.dataset.wide = document.documentElement.scrollWidth <= innerWidth;
    });</script></body>"""
    file = tmp_path / "page.html"
    file.write_text(page.replace("</body>", act), encoding="utf-8")
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=400,900", "--lang=en-US",
         f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", file.as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    body = re.search(r"<body[^>]*>", done.stdout)
    assert body, done.stderr[-2000:]
    assert 'data-repetition="1"' in body[0]
    assert 'data-text="1"' in body[0]
    assert 'data-all="2 / 2"' in body[0]
    assert 'data-file="问答.md"' in body[0]
    assert 'data-english="0"' in body[0]  # after the language was changed, in tables, legends and axes alike
    assert 'data-verdicts="true"' in body[0]  # on a phone the verdicts are on the screen
    assert 'data-wide="true"' in body[0]
    assert '<html lang="zh">' in done.stdout
