"""Multiple choice: the options are asked with the question, and the answer is one of their letters or texts."""

import re
from collections.abc import Mapping
from typing import Any

Record = Mapping[str, Any]
_QUESTIONS = ("question", "问题", "题目", "题干", "query", "problem", "questions")
# A question's names in banks of them; elsewhere they are other things.
TITLES_OF_CHOICES = ("stem", "title", "content")
OPTIONS = ("options", "choices", "option", "选项", "選項")
_ANSWERS_OF_OPTIONS = ("answer", "答案", "正确答案", "correct_answer", "answerKey", "answer_key")
LETTERS = "ABCDEFGHIJ"
_FIELDS = ("{0}", "选项{0}", "{0}选项", "选项 {0}", "option{0}", "Option {0}", "option_{1}")
FIRST_OPTIONS = tuple(form.format("A", "a") for form in _FIELDS)
_OWN_LETTER = re.compile(r"\s*[(（]?([A-Ja-j])[)）.．、:：]\s*(?=\S)")
_LABELS = ("label", "labels", "key")


def with_options(record: Record) -> Record:
    """The record with its options in the question, or in each of its questions; as it is where it has none."""
    if asked := _questions_with_options(record):
        return {**record, "questions": asked}
    given = next((record[name] for name in OPTIONS if record.get(name)), None)
    options = _options_of(given)
    if options is None:
        options = _lettered(record)
    name = next((name for name in (*_QUESTIONS, *TITLES_OF_CHOICES) if name in record), None)
    if not options or name is None or not isinstance(record[name], str):
        return record
    options = _without_letters(options)
    if all(text in record[name] for _, text in options):
        return record  # the question holds them already
    lines = [f"{letter}. {text}" for letter, text in options]
    answer = _letter_of_index(record, given, options)
    return {**record, **answer, name: "\n".join([record[name], *lines])}


def with_open_question(record: Record) -> Record:
    """The record with the text and the options of a question that is an object, as in ARC and CommonsenseQA, in fields of its own."""
    asked = record.get("question")
    if not isinstance(asked, Mapping) or not isinstance(asked.get("stem"), str):
        return record
    return {**record, **asked, "question": asked["stem"]}


def _questions_with_options(record: Record) -> list[str]:
    """A list of questions, each with the options at its place, as in RACE; none where the record has no such lists."""
    asked = record.get("questions")
    given = next((record[name] for name in OPTIONS if record.get(name)), None)
    if not isinstance(asked, list) or not isinstance(given, list) or len(asked) != len(given):
        return []
    if not all(isinstance(one, str) for one in asked) or not all(isinstance(one, list) for one in given):
        return []
    pairs = zip(asked, given, strict=True)
    return [with_options({"question": text, "options": options})["question"] for text, options in pairs]


def _without_letters(options: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The options without the letters in their texts (``A. …``), if all have them."""
    begun = [(letter, _OWN_LETTER.match(text)) for letter, text in options]
    if not all(found and found[1].upper() == letter for letter, found in begun):
        return options
    return [
        (letter, text[found.end() :])
        for (letter, text), (_, found) in zip(options, begun, strict=True)
        if found
    ]


def _letter_of_index(record: Record, given: Any, options: list[tuple[str, str]]) -> dict[str, str]:
    """The answer's field with its letter where it holds the place of an option in a list, as in MMLU; counted from 0."""
    name = next((name for name in _ANSWERS_OF_OPTIONS if name in record), "")
    place: Any = record.get(name)
    if not isinstance(given, list) or place in given:
        return {}
    is_place = isinstance(place, int) or (isinstance(place, str) and place.strip().isdecimal())
    if not is_place or not 0 <= int(place) < len(options) or str(place).strip() in dict(options):
        return {}
    return {name: options[int(place)][0]}


def _options_of(given: Any) -> list[tuple[str, str]] | None:
    """Letters and texts of options as a list, as an object by letter, or as two lists."""
    if isinstance(given, Mapping):
        texts = given.get("text")
        labels = next((given[name] for name in _LABELS if isinstance(given.get(name), list)), None)
        if isinstance(texts, list) and labels and len(texts) == len(labels):
            return [(str(label), str(text)) for label, text in zip(labels, texts, strict=True)]
        texts = {str(key): str(text) for key, text in given.items() if isinstance(text, str | int | float)}
        return [(key, text) for key, text in texts.items() if text.strip()]
    if isinstance(given, list) and len(given) <= len(LETTERS):
        if all(isinstance(one, Mapping) and "text" in one for one in given):
            letters = [str(next((one[name] for name in _LABELS if name in one), "")) for one in given]
            texts = [str(one["text"]) for one in given]
        else:
            letters, texts = [""] * len(given), [str(one) for one in given]
        return [(own or letter, text) for own, letter, text in zip(letters, LETTERS, texts, strict=False)]
    return None


def _lettered(record: Record) -> list[tuple[str, str]] | None:
    """Options in fields called A, B, C, … or 选项A, 选项B, …, beside a field for the answer."""
    if not any(name in record for name in ("answer", "答案", "正确答案", "参考答案")):
        return None
    form = next((form for form in _FIELDS if form.format("A", "a") in record), _FIELDS[0])
    cells = [(letter, record.get(form.format(letter, letter.lower()))) for letter in LETTERS]
    return [(letter, cell) for letter, cell in cells if isinstance(cell, str) and cell.strip()]
