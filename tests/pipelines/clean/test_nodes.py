"""Ingest and clean together, through their nodes."""

import pyarrow.dataset as ds
import pytest

from qwen_pipeline.errors import NoExamplesError, ParameterError
from qwen_pipeline.params.clean import CleanParameters
from qwen_pipeline.params.ingest import IngestParameters
from qwen_pipeline.params.merge import build_groups
from qwen_pipeline.pipelines.clean.nodes import clean_examples, draw_data_page
from qwen_pipeline.pipelines.ingest.nodes import ingest_files
from qwen_pipeline.text.account import summary_lines
from qwen_pipeline.text.raw_file import RawFile


def raw_files(folder):
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in paths]
    return {name: RawFile(name, path, path.stat().st_size) for name, path in zip(names, paths, strict=True)}


def run(folder, **parameters):
    examples, rejects, report = ingest_files(raw_files(folder), IngestParameters())
    return clean_examples(ds.dataset(examples), ds.dataset(rejects), report, CleanParameters(**parameters))


def is_conserved(entry):
    """Whether an entry of the report accounts for every row that was found."""
    gone = sum(entry["rejected"].values()) + entry["duplicates_exact"] + entry["duplicates_near"]
    return entry["found"] == entry["kept"] + gone


def test_every_file_is_accounted_for(tmp_path):
    (tmp_path / "a.md").write_text("Q1: 甲？\nA1: 一。\n\nQ2: 乙？\n", "utf-8")
    (tmp_path / "b.jsonl").write_text(
        '{"question":"甲？","answer":"一。"}\nx{\n{"question":"丙？","answer":"三。"}\n', "utf-8"
    )
    (tmp_path / "c.bin").write_bytes(bytes(range(256)))
    (tmp_path / "d.csv").write_bytes("问题,答案\n丁？,四。\n".encode("gb18030"))
    report = run(tmp_path)[3]
    assert set(report["files"]) == {"a.md", "b.jsonl", "c.bin", "d.csv"}
    assert all(is_conserved(entry) for entry in [report["total"], *report["files"].values()])
    assert (report["total"]["kept"], report["total"]["duplicates_exact"]) == (3, 1)
    lines = summary_lines(report)
    assert len(lines) <= 10
    assert max(map(len, lines)) <= 62
    assert lines[0] == "files       4, 0.4 KiB"


def test_the_page_shows_counts_and_escapes_names(tmp_path):
    (tmp_path / "<b>.md").write_text("Q1: 甲？\nA1: 一。\n\nQ2: 乙？\n", "utf-8")
    tables = run(tmp_path)
    page = draw_data_page(ds.dataset(tables[0]), tables[3])
    assert "1 of 2 rows kept, from 1 file (0.0 KiB)" in page
    assert "missing_answer" in page
    assert "&lt;b&gt;.md" in page
    assert "<b>.md" not in page


def test_no_pairs_at_all_is_one_clear_sentence(tmp_path):
    (tmp_path / "a.md").write_text("just prose", "utf-8")
    with pytest.raises(NoExamplesError, match=r"a\.md.*no_pairs"):
        ingest_files(raw_files(tmp_path), IngestParameters())


def test_nothing_left_after_cleaning_names_the_rule(tmp_path):
    (tmp_path / "a.md").write_text("Q1: 甲？\nA1: 一。\n", "utf-8")
    with pytest.raises(NoExamplesError, match="too_short 1"):
        run(tmp_path, min_answer_characters=50)


def test_an_unknown_encoding_is_refused_before_any_work():
    with pytest.raises(ParameterError, match=r"encoding='gbkk'.*no such encoding.*gb18030"):
        build_groups({"encoding": "gbkk"})
    assert IngestParameters(encoding="GBK").encoding == "gbk"


def test_a_forced_encoding_is_used(tmp_path):
    (tmp_path / "a.md").write_bytes("Q: é?\nA: è\n".encode("latin-1"))
    examples, *_ = ingest_files(raw_files(tmp_path), IngestParameters(encoding="latin-1"))
    assert ds.dataset(examples).to_table().to_pylist()[0]["messages"][0]["content"] == "é?"


def test_real_datasets_give_the_counts_of_their_manifest(shared_dir):
    report = run(shared_dir / "data/datasets", near_duplicates="keep")[3]
    files = report["files"]
    assert all(is_conserved(entry) for entry in files.values())
    found = {name: entry["found"] for name, entry in files.items()}
    assert found == {
        "alpaca_en_demo.json": 999,
        "alpaca_zh_demo.json": 1000,
        "emollm_ruozhiba_format_emo.jsonl": 240,
        "emollm_ruozhiba_raw.jsonl": 240,
        "identity.json": 91,
        "langchain_issues_closed.csv": 172,
        "minicpm_ocnli_chatml_train.json": 13,
        "parquet/alpaca_zh_150.dict_large.zstd.parquet": 150,
        "parquet/alpaca_zh_500.snappy.parquet": 500,
        "parquet/messages_200.json_string.parquet": 200,
        "parquet/messages_200.nested.parquet": 200,
        "smilechat_messages.jsonl": 600,
    }
    alone = {name: files[name]["kept"] for name in list(found)[:5] if "emollm" not in name}
    assert alone == {"alpaca_en_demo.json": 985, "alpaca_zh_demo.json": 992, "identity.json": 91}
    assert files["langchain_issues_closed.csv"]["rejected"] == {"unknown_fields": 172}
    # Four conversations of the counselling data hold no turn of the counsellor.
    assert report["total"]["rejected"] == {"missing_answer": 4, "unknown_fields": 172}


def test_the_pipelines_are_wired():
    from qwen_pipeline.pipelines.clean import create_pipeline as clean_pipeline
    from qwen_pipeline.pipelines.ingest import create_pipeline as ingest_pipeline

    joined = ingest_pipeline() + clean_pipeline()
    assert joined.inputs() == {"raw_files", "params:ingest", "params:clean"}
    assert {"data_page", "clean_rejects"} <= joined.outputs()
