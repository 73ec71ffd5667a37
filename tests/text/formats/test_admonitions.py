"""Questions whose answers open at a click on pages made with MkDocs and VuePress."""

from pathlib import Path

import pytest

from documents import pairs_in

MKDOCS = """# Setup

!!! tip "How to read this"
    From the top.

??? question "Q1: The button is missing"

    Do two things:

    1. Reload.
        - twice

    ```bash
    make again
    ```
More on the page.

???+ question "2. Why is it slow?"
    It is warming up.

## Next

Go on.
"""
VUEPRESS = "# 使用\n\n::: details 如何安装？\n一条命令。\n\n::: tip\n要联网。\n:::\n:::\n\n正文。\n\n::: details 装不上怎么办\n换镜像。\n:::\n"


def test_a_block_of_mkdocs_is_a_question_with_its_answer(tmp_path: Path) -> None:
    first = "Do two things:\n\n1. Reload.\n    - twice\n\n```bash\nmake again\n```"
    assert pairs_in(tmp_path, "text.md", MKDOCS) == [
        ("The button is missing", first),
        ("Why is it slow?", "It is warming up."),
    ]


@pytest.mark.parametrize("kind", ["question", "faq", "note"])
def test_one_block_that_asks_is_enough(tmp_path: Path, kind: str) -> None:
    text = f'Text.\n\n??? {kind} "Why is it slow?"\n    It is warming up.\n\nText.\n'
    assert pairs_in(tmp_path, "text.md", text) == [("Why is it slow?", "It is warming up.")]


@pytest.mark.parametrize(
    "opening", ['??? question "Show answer"', '??? note "Example"', '!!! tip "How to drill"']
)
def test_a_block_that_asks_nothing_is_no_question(tmp_path: Path, opening: str) -> None:
    asked = '??? question "Why?"\n    So.\n\n'
    assert pairs_in(tmp_path, "text.md", f"{asked}{opening}\n    Like this.\n") == [("Why?", "So.")]


def test_a_container_of_vuepress_is_one_too(tmp_path: Path) -> None:
    assert pairs_in(tmp_path, "text.md", VUEPRESS) == [
        ("如何安装？", "一条命令。\n\n::: tip\n要联网。\n:::"),
        ("装不上怎么办", "换镜像。"),
    ]


def test_a_block_in_an_answer_stays_as_it_is(tmp_path: Path) -> None:
    block = '??? question "And why?"\n    So.'
    text = f"# FAQ\n\n## What is it?\n\nA thing.\n\n{block}\n\n## What for?\n\nThat.\n"
    assert pairs_in(tmp_path, "text.md", text)[0] == ("What is it?", f"A thing.\n\n{block}")


def test_a_folded_summary_with_a_mark_need_not_ask(tmp_path: Path) -> None:
    text = "<details>\n<summary><b>Q: The port is taken</b></summary>\n\nStop the other one.\n</details>\n"
    assert pairs_in(tmp_path, "text.md", text) == [("The port is taken", "Stop the other one.")]
