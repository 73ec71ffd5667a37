"""Small bad inputs, each with the outcome that is expected of it."""

import json
import re

import pytest

from qwen_pipeline.text.clean_row import CleanRow, CleanRules
from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.row import Found
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import read_rows
from text.cleaning import clean_row

# Lossy mojibake is found as pairs by ingest and refused by clean, so its pairs are counted after clean.
COUNTED_AFTER_CLEAN = {"mojibake_utf8_as_gbk_lossy.md", "mojibake_kunjinkao.md"}
BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")


def comparable(text):
    """Cleaning removes bidi overrides and escapes control tokens; white space is not compared."""
    text = BIDI.sub("", text).replace("\u200b", "")
    text = re.sub(r"<\|\s*(\w+)\s*\|>", r"<|\1|>", re.sub(r"<\s*(/?think)>", r"<\1>", text))
    return " ".join(text.split())


def outcome(path):
    rows = list(read_rows(Content(RawFile(path.name, path, path.stat().st_size))))
    found = [row for row in rows if isinstance(row, Found)]
    cleaned = [clean_row(row.messages, path.name, CleanRules()) for row in found]
    kept = [row for row in cleaned if isinstance(row, CleanRow)]
    pairs = {tuple(comparable(text) for _, text in row.messages[-2:]) for row in kept}
    return rows, found, kept, pairs


def faults(entry, path):
    rows, found, kept, pairs = outcome(path)
    counted = kept if entry["file"] in COUNTED_AFTER_CLEAN else found
    wanted = {tuple(comparable(text) for text in pair) for pair in entry.get("expected_pairs") or []}
    if not rows:
        yield "nothing is reported"
    if entry["expected_pair_count"] is not None and len(counted) != entry["expected_pair_count"]:
        yield f"{len(counted)} pairs where {entry['expected_pair_count']} are expected"
    if entry.get("expected_rejects") and len(rows) - len(found) != entry["expected_rejects"]:
        yield f"{len(rows) - len(found)} rejects where {entry['expected_rejects']} are expected"
    if wanted and pairs - wanted:
        yield f"wrong pairs: {pairs - wanted}"
    if wanted and wanted - pairs and entry["outcome"] != "quarantine":
        yield f"lost pairs: {wanted - pairs}"


def test_every_outcome_is_the_expected_one(shared_dir):
    folder = shared_dir / "data/adversarial"
    entries = json.loads((folder / "expected.json").read_text("utf-8"))
    wrong = {entry["file"]: list(faults(entry, folder / entry["file"])) for entry in entries}
    assert len(wrong) >= 75
    assert {name: found for name, found in wrong.items() if found} == {}


@pytest.mark.parametrize("name", ["special_tokens.md"])
def test_no_control_token_survives(shared_dir, name):
    kept = outcome(shared_dir / "data/adversarial" / name)[2]
    texts = "\n".join(text for row in kept for _, text in row.messages)
    assert not re.search(r"<\|\w+\|>|</?think>", texts)
