"""Bytes become the text that was written, each stretch with its encoding."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_pipeline.text.decode import decode

SIMPLIFIED = (
    "你好，这个问题的答案是：我们可以在这里看到时间和地方。训练之前先检查数据，再决定学习率和批次大小。"
)
TRADITIONAL = (
    "這個問題的答案是：我們可以在這裡看到時間和地方，謝謝你的來信。訓練之前先檢查資料，再決定學習率。"
)
JAPANESE = "この質問の答えは簡単です。まずデータを確認して、それから学習率を決めてください。メモリが足りないときは小さくします。"
KOREAN = (
    "이 질문의 답은 간단합니다. 먼저 데이터를 확인하고 학습률을 정하세요. 메모리가 부족하면 줄이면 됩니다."
)
FRENCH = "La mémoire est épuisée : réduisez la taille du lot, c'est déjà très efficace à l'entraînement."
GERMAN = "Der Speicher genügt nicht: wählen Sie eine kleinere Größe, das ändert die Qualität für Sie kaum."
POLISH = (
    "Zbyt mało pamięci: proszę zmniejszyć rozmiar, a później jeszcze raz sprawdzić, czy uczenie się udało."
)
RUSSIAN = "Памяти не хватает: уменьшите размер пакета, и обучение пойдёт дальше без потери качества."
GREEK = "Η μνήμη δεν φτάνει: μειώστε το μέγεθος της παρτίδας και δοκιμάστε ξανά την εκπαίδευση."
TURKISH = "Bellek yetmiyor: yığın boyutunu küçültün ve eğitimi yeniden başlatın, sonuç değişmeyecektir."
WRITTEN = {
    "utf-8": SIMPLIFIED, "utf-8-sig": SIMPLIFIED, "utf-16": SIMPLIFIED, "utf-16-le": SIMPLIFIED, "utf-16-be": TRADITIONAL,
    "utf-32": SIMPLIFIED, "utf-32-le": SIMPLIFIED, "utf-32-be": JAPANESE, "gbk": SIMPLIFIED, "gb18030": TRADITIONAL,
    "big5": TRADITIONAL, "shift_jis": JAPANESE, "euc_jp": JAPANESE, "iso2022_jp": JAPANESE, "euc_kr": KOREAN, "cp949": KOREAN, "cp1250": POLISH,
    "cp1251": RUSSIAN, "koi8_r": RUSSIAN, "cp1252": FRENCH, "latin-1": GERMAN, "cp1253": GREEK, "cp1254": TURKISH,
}  # fmt: skip


@pytest.mark.parametrize("encoding", WRITTEN)
def test_text_is_read_in_every_encoding(encoding):
    decoded = decode(WRITTEN[encoding].encode(encoding))
    assert decoded.text == WRITTEN[encoding]
    assert len(decoded.spans) == 1
    assert decoded.encoding_at(0)[1] > 0.5


@pytest.mark.parametrize("encoding", ["gbk", "big5", "shift_jis", "euc_jp", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("size", [8, 12, 20])
def test_every_short_piece_is_read(encoding, size):
    text = WRITTEN[encoding] if encoding != "utf-16-be" else SIMPLIFIED
    for start in range(len(text) - size + 1):
        piece = text[start : start + size]
        assert decode(piece.encode(encoding)).text == piece


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("à « %s »\ntrop de d", "cp1252"),
        ("le mode «\xa0rapide\xa0» (sinon", "cp1252"),
        ("»%s«, alt »%s«\n\nübrig", "cp1252"),
        ("« kann nicht sein", "cp1252"),
        ("Zapis do pliku „wynik”", "cp1252"),  # its bytes are the same in cp1250
    ],
)
def test_quotation_marks_say_nothing_about_the_alphabet(text, encoding):
    assert decode(text.encode(encoding)).text == text


@pytest.mark.parametrize("foreign", ["Hafnarfjörður", "Così"])
def test_a_foreign_name_leaves_german_text_western(foreign):
    assert decode(f"{GERMAN} é {foreign}".encode("cp1252")).text == f"{GERMAN} é {foreign}"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_english_utf16_without_a_mark_is_read(encoding):
    assert decode("Q1: What is it?\nA1: A test.".encode(encoding)).text == "Q1: What is it?\nA1: A test."


@pytest.mark.parametrize(
    "text", ["x = 10 * 20\nprint(x)\n", "a0b0c0d0e0f0", "N=N=N=", "{}", "", "\x1b[1m", "0" * 99]
)
def test_plain_ascii_stays_ascii(text):
    assert decode(text.encode()).text == text


@pytest.mark.parametrize("word", ["计算", "一直", "的快乐和忧愁", "联通"])
def test_one_chinese_word_in_code_is_read(word):
    code = f"def main():\n    value = compute(1, 2)  # {word}\n    return value\n" * 2
    assert decode(code.encode("gbk")).text == code
    assert decode(code.encode()).text == code


@pytest.mark.parametrize("mark", ["é", "ü", "ñ", "°", "×", "±", "£", "©", "α", "μ", "Ω", "я", "’", "→", "…"])
def test_one_mark_in_english_utf8_is_no_chinese(mark):
    text = f"a note on value {mark} and its range\n"
    assert decode(text.encode()).text == text
    assert decode(text.encode()).spans[0].encoding == "utf-8"


def test_four_byte_characters_of_gb18030_are_read():
    text = f"😊{SIMPLIFIED}🌱㐀𠮷{SIMPLIFIED}"
    assert decode(text.encode("gb18030")).text == text


def test_characters_of_hong_kong_are_read():
    text = "佢哋喺度食嘢，我哋冇嘢做，啲人唔知點解咁嘈。" + TRADITIONAL
    decoded = decode(text.encode("big5hkscs"))
    assert decoded.text == text
    assert decoded.encoding_at(0)[0] == "big5hkscs"


PAIRS = [
    ("gb18030", "utf-8"), ("utf-8", "gb18030"), ("big5", "gb18030"), ("gb18030", "big5"), ("big5", "utf-8"),
    ("utf-8", "shift_jis"), ("shift_jis", "gb18030"), ("utf-16-le", "utf-8"), ("utf-8", "utf-16-be"), ("gb18030", "utf-16-le"),
]  # fmt: skip


def of(encoding):
    return WRITTEN.get(encoding, SIMPLIFIED) if encoding not in ("gb18030", "utf-16-be") else SIMPLIFIED


@pytest.mark.parametrize(("first", "second"), PAIRS)
@pytest.mark.parametrize("times", [1, 60, 3000])
def test_a_file_that_changes_encoding_is_right_on_both_sides(first, second, times):
    one, two = f"{of(first)}\n" * times, f"{of(second)}\n" * times
    decoded = decode(one.encode(first) + two.encode(second))
    assert decoded.text == one + two
    assert decoded.encoding_at(0)[0] == first
    assert decoded.encoding_at(len(one) + 1)[0] == second
    assert not decoded.losses


@pytest.mark.parametrize(("first", "second"), PAIRS[:7])
def test_a_change_inside_a_line_is_found(first, second):
    one, two = of(first), of(second)
    assert decode(one.encode(first) + two.encode(second)).text == one + two


def test_single_lines_in_another_encoding_are_found_in_a_long_file():
    lines = [SIMPLIFIED] * 4000
    data = [line.encode("gb18030") for line in lines]
    for place in (5, 1700, 3999):
        data[place] = lines[place].encode()
    decoded = decode(b"\n".join(data))
    assert decoded.text == "\n".join(lines)
    assert [span.encoding for span in decoded.spans] == ["gb18030", "utf-8"] * 3


@pytest.mark.parametrize("skipped", [0, 1])
def test_utf16_in_the_middle_is_found_at_any_alignment(skipped):
    before = (f"{SIMPLIFIED}\n" * 900 + "ab\n"[skipped:]).encode("gb18030")
    inner = f"{SIMPLIFIED}\n" * 1500
    after = f"{SIMPLIFIED}\n" * 900
    decoded = decode(before + inner.encode("utf-16-le") + after.encode())
    assert decoded.text == before.decode("gb18030") + inner + after
    assert [span.encoding for span in decoded.spans] == ["gb18030", "utf-16-le", "utf-8"]


def test_a_short_last_line_is_not_read_like_its_neighbours():
    one, two = f"{TRADITIONAL}\n" * 40, f"地评估自己的进度。\n\n2. {SIMPLIFIED}\n" * 40
    decoded = decode(one.encode("big5") + two.encode("gb18030"))
    assert decoded.text == one + two


@pytest.mark.parametrize("word", ["咔", "囍", "喵"])
def test_a_rare_character_many_times_changes_no_encoding(word):
    text = f"{SIMPLIFIED}\n已运行{word * 8}响个不停，{SIMPLIFIED}\n"
    decoded = decode(text.encode("gb18030"))
    assert decoded.text == text
    assert len(decoded.spans) == 1


def test_short_japanese_in_utf16_that_is_printable_ascii_is_read():
    text = "いなかったのであ"
    assert text.encode("utf-16-be").isascii()
    assert decode(text.encode("utf-16-be")).text == text


def test_a_mark_does_not_hide_a_change():
    decoded = decode(codecs.BOM_UTF8 + f"{SIMPLIFIED}\n".encode() + f"{SIMPLIFIED}\n".encode("gb18030"))
    assert decoded.text == f"{SIMPLIFIED}\n" * 2
    assert [span.encoding for span in decoded.spans] == ["utf-8-sig", "gb18030"]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "big5", "utf-16-le", "utf-8-sig", "utf-16"])
def test_a_cut_last_character_is_told_to_the_byte_and_changes_nothing_else(encoding):
    text = (TRADITIONAL if encoding == "big5" else SIMPLIFIED)[:-1] + "中"
    data = text.encode(encoding)
    decoded = decode(data[:-1])
    assert decoded.text == text[:-1] + "\ufffd"
    assert len(decoded.spans) == 1
    assert [loss.char for loss in decoded.losses] == [len(text) - 1]
    start = len(text[:-1].encode(encoding))
    assert (decoded.losses[0].start_byte, decoded.losses[0].end_byte) == (start, len(data) - 1)


@pytest.mark.parametrize(
    ("encoding", "bad"), [("utf-8", b"\xff\xfe"), ("utf-8", b"\xe4\xbd"), ("gb18030", b"\xff")]
)
def test_broken_bytes_in_the_middle_are_told_to_the_byte(encoding, bad):
    before, after = f"{SIMPLIFIED}\n".encode(encoding), f"\n{SIMPLIFIED}".encode(encoding)
    decoded = decode(before + bad + after)
    assert decoded.text.replace("\ufffd", "") == f"{SIMPLIFIED}\n\n{SIMPLIFIED}"
    lost = {place for loss in decoded.losses for place in range(loss.start_byte, loss.end_byte)}
    assert lost == set(range(len(before), len(before) + len(bad)))
    assert all(decoded.text[loss.char] == "\ufffd" for loss in decoded.losses)


def test_a_forced_encoding_is_kept_and_its_faults_are_told():
    decoded = decode("简体中文".encode("gb18030") + b"\xff", "big5")
    assert decoded.spans[0].encoding == "big5"
    assert decoded.spans[0].confidence == 1.0
    assert decoded.losses
    assert decode(TRADITIONAL.encode("gb18030"), "gb18030").text == TRADITIONAL
    with pytest.raises(LookupError):
        decode(b"x", "no-such-encoding")


def test_a_replacement_character_that_was_written_is_no_loss():
    assert not decode("写着\ufffd的文字".encode()).losses


@given(
    st.text(st.sampled_from(SIMPLIFIED + "\n, a1"), max_size=200),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_text_with_a_mark_or_in_utf8_is_always_read(text, encoding):
    assert decode(text.encode(encoding)).text == text


@given(
    st.text(st.sampled_from(SIMPLIFIED), min_size=12, max_size=200),
    st.sampled_from(["gb18030", "utf-16-le", "utf-16-be"]),
)
def test_chinese_is_read_in_any_order_of_its_characters(text, encoding):
    assert decode(text.encode(encoding)).text == text


@given(st.binary(max_size=300))
def test_any_bytes_give_spans_that_cover_the_text_and_losses_in_order(data):
    decoded = decode(data)
    ends = [0, *(span.end_char for span in decoded.spans)]
    assert [span.start_char for span in decoded.spans] == ends[:-1]
    assert ends[-1] == len(decoded.text)
    places = [place for loss in decoded.losses for place in (loss.start_byte, loss.end_byte)]
    assert places == sorted(places)
    assert not places or places[-1] <= len(data)
    assert all(decoded.text[loss.char] == "\ufffd" for loss in decoded.losses)


def test_the_first_ideograph_of_utf16_behind_another_encoding_is_not_two_letters():
    before, after = (
        "训练可以在这里看到时间。这个问题的答案是",
        "留下的时间和地方，谢谢你的来信。训练之前先检查数据",
    )
    assert decode(before.encode("gb18030") + after.encode("utf-16-le")).text == before + after
