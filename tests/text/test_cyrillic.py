"""Cyrillic read in a Western encoding is taken back, and what only looks like it is left alone."""

import pytest

from qwen_pipeline.text.repair import repair_mojibake

RUSSIAN = "Привет! Как установить Python 3.11 на Windows? «Скачайте» установщик с python.org."
UKRAINIAN = "Як зменшити розмір пакета, щоб вистачило пам'яті? Її не вистачає."


@pytest.mark.parametrize("text", [RUSSIAN, UKRAINIAN, "Привет, как дела?", "Намалете размера на партидата."])
@pytest.mark.parametrize("wrong", ["latin-1", "cp1252"])
def test_cyrillic_read_in_a_western_encoding_comes_back(text: str, wrong: str) -> None:
    repaired = repair_mojibake(text.encode("cp1251").decode(wrong))
    assert repaired.text == text
    assert repaired.steps in {("cp1251 read as latin-1",), ("cp1251 read as cp1252",)}


def test_a_word_that_mixes_cases_does_not_stop_a_whole_text() -> None:
    text = "Эта команда показывает номера РЕДов и названия всех файлов в каталоге."
    assert repair_mojibake(text.encode("cp1251").decode("latin-1")).text == text


@pytest.mark.parametrize(
    "text",
    [
        "éèêë àâä îï ôö ùûü ç",
        "àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿ",
        "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞ àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿ",
        "ÄÖÜ äöü ß, ÅÆØ åæø, Éé Èè Êê Ëë",
        "Les lettres éèêëàâäîïôöùûüç sont accentuées.",
        "À ça, où ? Là-bas, à côté, où ça a été créé.",
        "Þórður á ógæfu að þakka að ýmsu óþökk.",
        "ÅÄÖ åäö ÅÄÖ åäö",
    ],
)
def test_accented_letters_of_western_languages_stay(text: str) -> None:
    assert repair_mojibake(text).steps == ()


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Καλημέρα, πώς μπορώ να εγκαταστήσω το πρόγραμμα;", "cp1253"),
        ("שלום, איך אפשר להתקין את התוכנה הזאת?", "cp1255"),
        ("Как установить эту программу на компьютер?", "koi8_r"),
    ],
)
def test_another_alphabet_read_wrongly_does_not_become_russian(text: str, encoding: str) -> None:
    spoiled = text.encode(encoding).decode("latin-1")
    assert not any("cp1251" in step for step in repair_mojibake(spoiled).steps)
