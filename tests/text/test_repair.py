"""Mojibake is taken back where it is reversible, and right text is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_pipeline.text.repair import repair_mojibake

TEXT = "训练之前先检查数据，再决定学习率和批次大小。"
SPOILED = [
    [("utf-8", "latin-1")],
    [("gb18030", "latin-1")],
    [("utf-8", "gb18030")],
    [("utf-8", "latin-1"), ("utf-8", "latin-1")],
    [("utf-8", "latin-1"), ("utf-8", "cp1252")],
    [("gb18030", "latin-1"), ("utf-8", "latin-1")],
    [("utf-8", "gb18030"), ("utf-8", "gb18030")],
    [("utf-8", "latin-1")] * 3,
]


def spoil(text, steps):
    for written, read in steps:
        text = text.encode(written).decode(read)
    return text


def survives(text, steps):
    try:
        return bool(spoil(text, steps))
    except UnicodeError:
        return False


@pytest.mark.parametrize("steps", SPOILED, ids=str)
def test_a_wrong_reading_is_taken_back_and_its_steps_are_named_last_first(steps):
    text = next(
        text
        for text in (TEXT, "编码乱码", "我们在这里", "检查问题的答案", "这里有问题，国上一了")
        if survives(text, steps)
    )
    spoiled = spoil(text, steps)
    repaired = repair_mojibake(spoiled)
    assert repaired.text == text
    assert repaired.steps == tuple(f"{written} read as {read}" for written, read in reversed(steps))


@pytest.mark.parametrize(
    ("spoiled", "text"),
    [
        ("浣犲ソ", "你好"),
        ("涔辩爜", "乱码"),
        ("ä½\xa0å¥½", "你好"),
        ("ä½ å¥½ï¼Œä¸–ç•Œ", "你好，世界"),
        ("cafÃ© et thÃ©", "café et thé"),
    ],
)
def test_short_mojibake(spoiled, text):
    assert repair_mojibake(spoiled).text == text


@pytest.mark.parametrize(
    "text",
    [
        "Из журнала видно, что Эра и Рим здесь ни при чём.",
        "Київ — столиця України",
        TEXT,
        "茶碗蒸しの味を薄くする",
        "Don’t mix – “quotes” and naïve cafés.",
    ],
)
def test_utf8_read_as_cp1251_comes_back(text):
    """The byte 98, which stands in every capital И, has no character in cp1251 and is read as U+0098."""
    spoiled = text.encode().decode("cp1251", "surrogateescape").replace("\udc98", "\x98")
    repaired = repair_mojibake(spoiled)
    assert repaired.text == text
    assert repaired.steps == ("utf-8 read as cp1251",)


def test_what_was_repaired_can_be_spoiled_again():
    spoiled = spoil(TEXT, SPOILED[0])
    repaired = repair_mojibake(spoiled)
    assert repaired.text.encode("utf-8").decode("latin-1") == spoiled


def test_a_spoiled_line_between_right_ones_is_repaired():
    line = spoil(TEXT, SPOILED[0])
    repaired = repair_mojibake(f"{TEXT}\n{line}\n{TEXT}")
    assert repaired.text == f"{TEXT}\n{TEXT}\n{TEXT}"
    assert repaired.steps == ("utf-8 read as latin-1",)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "如果看到“浣犲ソ”这样的文字，说明编码读错了。",
        "锟斤拷烫烫烫屯屯屯",
        "Þýðing, Óþekkt innihald, Õigused, ÖÖ",
        "“Ça déjà vu”, naïve façade – 25 °C ± 3 µm, £5 · ½",
        "Größe und Übermaß; señor, ¿qué? ação, São, João",
        "乒乒乓乓、崚嶒、忸怩、饕餮、魑魅魍魉",
        "Съешь ещё этих мягких французских булок",
        "このデータは大きすぎます。ｶﾀｶﾅ",
        "가나다라마바사 한국어 문장입니다",
        "αβγ → ∑x² ≤ √y",
        "😊🌱",
        "",
    ],
)
def test_right_text_is_left_alone(text):
    repaired = repair_mojibake(text)
    assert repaired.text == text
    assert repaired.steps == ()


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_ascii_is_never_changed(text):
    assert repair_mojibake(text).steps == ()


@given(st.text(st.sampled_from(TEXT), max_size=80))
def test_usual_chinese_is_never_changed(text):
    assert repair_mojibake(text).text == text


@given(
    st.text(st.sampled_from(TEXT), min_size=3, max_size=60), st.sampled_from(["latin-1", "cp1252", "gb18030"])
)
def test_what_can_be_read_wrongly_without_loss_comes_back(text, read):
    try:
        spoiled = text.encode().decode(read)
    except UnicodeDecodeError:
        return
    assert repair_mojibake(spoiled).text == text


@given(st.text(max_size=60))
def test_any_text_is_taken(text):
    repaired = repair_mojibake(text)
    assert repaired.steps or repaired.text == text


@pytest.mark.parametrize(
    "text",
    [
        "Wie kann ich meine Bestellung innerhalb der üblichen Frist ohne Angabe von Gründen zurückgeben?",
        "It’s fine. The quick brown fox jumps over the lazy dog and then some more text follows here.",
        "Votre facture est disponible à la rubrique « Mes commandes » de votre espace client.",
    ],
)
def test_a_few_spoiled_letters_in_long_western_text_are_repaired(text):
    assert repair_mojibake(spoil(text, [("utf-8", "latin-1")])).text == text
    try:
        spoiled = spoil(text, [("utf-8", "cp1252")])
    except UnicodeError:
        return
    assert repair_mojibake(spoiled).text == text


@pytest.mark.parametrize(
    "text",
    [
        "Why does zurÃ¼ck stand there? The encoding of the page is wrong, and nobody has told the server about it.",
        "Why do I see Ã© in the middle of the page where the author of the text surely wrote an e with an accent?",
        "The distance is 2.4 Å±0.1 in all of the samples that were measured in the second half of the experiment.",
    ],
)
def test_a_text_about_mojibake_and_signs_behind_a_letter_are_left_alone(text):
    assert repair_mojibake(text).steps == ()


def test_korean_read_as_western_letters_comes_back():
    text = "비밀번호를 잊어버렸어요. 어떻게 하죠?"
    assert repair_mojibake(spoil(text, [("euc_kr", "latin-1")])).text == text


def test_korean_read_as_chinese_comes_back():
    text = "먼저 담당 의사와 상담하는 것이 좋습니다. 열이 나면 해열제를 먼저 사용합니다."
    repaired = repair_mojibake(text.encode("euc_kr").decode("gb18030"))
    assert repaired.text == text
    assert repaired.steps == ("euc_kr read as gb18030",)
