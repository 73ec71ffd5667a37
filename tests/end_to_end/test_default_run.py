"""The whole job on the bundled data: every stage leaves what the contract says, and tuning helped."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from end_to_end.project import FinishedProject, run_kedro

pytestmark = pytest.mark.slow


def read_json(path: Path) -> dict[str, object]:
    loaded = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def test_tables_have_the_fields_of_the_contract(finished_project: FinishedProject) -> None:
    ingested = pq.read_schema(finished_project.newest("02_intermediate", "ingested_examples.parquet"))
    fields = {"example_id", "messages", "source_file", "source_line", "encoding", "encoding_confidence"}
    assert fields <= set(ingested.names)
    clean = pq.read_table(finished_project.newest("03_primary", "clean_examples.parquet"))
    assert fields | {"repairs", "split"} <= set(clean.schema.names)
    assert set(clean["split"].to_pylist()) == {"train", "validation", "test"}
    rejects = {"source_file", "source_line", "stage", "reason", "detail", "excerpt"}
    for layer, name in (
        ("02_intermediate", "ingest_rejects"),
        ("03_primary", "clean_rejects"),
        ("05_model_input", "tokenize_rejects"),
    ):
        assert rejects <= set(pq.read_schema(finished_project.newest(layer, f"{name}.parquet")).names)
    predictions = pq.read_schema(finished_project.newest("07_model_output", "predictions.parquet"))
    assert {"example_id", "question", "reference", "base_answer", "tuned_answer"} <= set(predictions.names)


def test_nothing_is_lost_in_any_file(finished_project: FinishedProject) -> None:
    report = read_json(finished_project.newest("08_reporting", "data_report.json"))
    accounts = {**report["files"], "total": report["total"]}  # type: ignore[dict-item]
    for name, account in accounts.items():
        kept_and_lost = account["kept"] + sum(account["rejected"].values())
        assert account["found"] == kept_and_lost + account["duplicates_exact"] + account["duplicates_near"], (
            name
        )
    assert report["total"]["found"] > 0  # type: ignore[index]
    encodings = report["total"]["encodings"]  # type: ignore[index]
    assert any("gb" in name.lower() for name in encodings)


def test_tokenized_splits_open_with_datasets_and_train_only_the_answer(
    finished_project: FinishedProject,
) -> None:
    import datasets

    for split in ("train", "validation", "test"):
        rows = datasets.load_from_disk(str(finished_project.newest("05_model_input", f"tokenized_{split}")))
        assert len(rows) > 10
        row = rows[0]
        assert len(row["input_ids"]) == len(row["labels"])
        assert row["labels"][0] == -100
        assert row["labels"][-1] != -100


def test_tuning_lowered_the_held_out_loss_by_sixty_per_cent(finished_project: FinishedProject) -> None:
    report = read_json(finished_project.newest("08_reporting", "evaluation_report.json"))
    base, tuned = report["base"]["loss"], report["tuned"]["loss"]  # type: ignore[index]
    assert tuned <= 0.4 * base


def answer(model: Any, folder: Path) -> str:
    """What a model says to a question of the sample data, with the tokenizer of its folder."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "CUDA out of memory 怎么办？"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    ids = model.eval().generate(**prompt, max_new_tokens=24, do_sample=False)
    return str(tokenizer.decode(ids[0, prompt["input_ids"].shape[1] :]))


def test_the_adapter_loads_with_plain_peft_and_the_merged_model_with_plain_transformers(
    finished_project: FinishedProject,
) -> None:
    import torch
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM

    adapter = finished_project.newest("06_models", "adapter")
    merged = finished_project.newest("06_models", "exported_model") / "merged"
    tuned = AutoPeftModelForCausalLM.from_pretrained(str(adapter), dtype=torch.float32)
    with tuned.disable_adapter():
        untuned_answer = answer(tuned, adapter)
    tuned_answer = answer(tuned, adapter)
    assert tuned_answer != untuned_answer
    shipped = AutoModelForCausalLM.from_pretrained(str(merged), dtype=torch.float32)
    assert answer(shipped, merged)[:8] == tuned_answer[:8]


def test_every_export_answers_like_the_live_adapter(finished_project: FinishedProject) -> None:
    report = read_json(finished_project.newest("08_reporting", "export_report.json"))
    checks = {check["export"]: check for check in report["checks"]}  # type: ignore[attr-defined]
    assert list(checks) == ["adapter", "merged"]
    assert all(
        check["passed"] and check["same_prompts"] == check["same_answers"] == 1 for check in checks.values()
    )
    assert checks["adapter"]["max_logit_difference"] <= 1e-3
    assert checks["merged"]["mean_kl"] <= 0.001
    merges: Any = report["merges"]
    # the merge in float32, before it is rounded to a file
    assert merges["4-bit"]["max_logit_difference"] <= 1e-3
    assert report["prompts_as_trained"] == 1


def test_an_export_that_fails_its_gate_leaves_the_one_before(finished_project: FinishedProject) -> None:
    before = finished_project.newest("06_models", "exported_model")
    files = {path: path.stat().st_mtime_ns for path in before.rglob("*") if path.is_file()}
    done = finished_project.kedro(
        "run", "--pipeline", "export", "--force", "export", "--params", "export_max_mean_kl=1e-9", check=False
    )
    assert done.returncode != 0
    assert "merged: mean KL" in done.stdout
    assert "The export before stays." in done.stdout
    assert "Traceback" not in done.stdout
    assert finished_project.newest("06_models", "exported_model") == before
    assert {path: path.stat().st_mtime_ns for path in before.rglob("*") if path.is_file()} == files
    asked = finished_project.kedro("chat", "--model", "exported", "--ask", "What does LoRA do?", "--json")
    assert json.loads(asked.stdout)["answers"]["exported"]


def test_the_training_is_one_finished_mlflow_run_that_the_report_names(
    finished_project: FinishedProject,
) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{finished_project.path / 'mlflow.db'}")
    experiments = [e.experiment_id for e in client.search_experiments()]
    quick_look = (
        "1"  # the batch_size of another project's training, which `debug_run` writes into the same store
    )
    runs = [run for run in client.search_runs(experiments) if run.data.params["batch_size"] != quick_look]
    assert len(runs) == 1
    report = read_json(finished_project.newest("08_reporting", "train_report.json"))
    run = runs[0]
    assert report["mlflow_run_id"] == run.info.run_id
    assert run.info.status == "FINISHED"
    assert run.info.run_name.startswith("demo r16 20")
    assert report["compute_dtype"] in ("float32", "bfloat16")
    assert run.inputs.dataset_inputs
    assert any("test" in name or "tuned" in name for name in run.data.metrics)
    assert any(a.path.startswith("adapter") for a in client.list_artifacts(run.info.run_id))


def test_a_second_run_repeats_nothing(finished_project: FinishedProject) -> None:
    before = finished_project.newest("06_models", "adapter")
    finished_project.kedro("run")
    assert finished_project.newest("06_models", "adapter") == before


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ("batch_sise=1", "batch_size"),
        ("data_dir=nowhere", "nowhere"),
        ("model_name=./no-such-model", "no-such-model"),
        ("max_sequence_length=8", "max_sequence_length"),
    ],
)
def test_a_users_mistake_is_one_sentence_and_overwrites_nothing(
    params: str, told: str, finished_project: FinishedProject
) -> None:
    before = finished_project.newest("06_models", "adapter")
    done = finished_project.kedro("run", "--params", params, check=False)
    assert done.returncode != 0
    assert told in done.stdout
    assert "Traceback" not in done.stdout
    assert finished_project.newest("06_models", "adapter") == before


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "holds no file"),
        ({"diary.txt": "It rained all day."}, "no question with an answer"),
        ({"a.jsonl": '{"question": "Why?", "answer": ""}'}, "missing_answer 1"),
    ],
)
def test_data_without_a_pair_is_one_sentence_and_overwrites_nothing(
    files: dict[str, str], told: str, finished_project: FinishedProject, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    before = finished_project.newest("02_intermediate", "ingested_examples.parquet")
    done = finished_project.kedro(
        "run", "--pipeline", "clean", "--params", f"data_dir={tmp_path}", check=False
    )
    assert done.returncode != 0
    assert told in " ".join(done.stdout.split())
    assert "Traceback" not in done.stdout
    assert finished_project.newest("02_intermediate", "ingested_examples.parquet") == before


def test_a_file_where_a_folder_is_needed_is_one_sentence(fresh_project: Path) -> None:
    (fresh_project / "data/02_intermediate").write_text("in the way")
    done = run_kedro(fresh_project, "run", "--pipeline", "ingest", check=False)
    assert done.returncode != 0
    assert "02_intermediate" in done.stdout
    assert "stands where a folder is needed" in " ".join(done.stdout.split())
    assert "Traceback" not in done.stdout
    (fresh_project / "data/02_intermediate").unlink()
