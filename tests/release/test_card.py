import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import GenerationConfig

from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.release.card import Card
from qwen_pipeline.release.clients import write_base_path
from qwen_pipeline.release.licence import Licence, find_licence

APACHE = Licence("apache-2.0", None)
CARD = Card(
    base="Qwen/Qwen3-4B-Thinking-2507",
    is_on_hub=True,
    licence=APACHE,
    settings={"learning_rate": 2e-4, "lora_r": 16, "max_memory_gb": 8.0, "max_new_tokens": 700},
    train={"steps": 1200, "tokens": 168060},
    evaluation={
        "verdict": "Better: 72% lower.",
        "base": {"loss": 0.675, "recognised": 0.1},
        "tuned": {"loss": 0.189, "recognised": 0.5},
        "differences": {"loss": {"verdict": "better"}},
        "groups": {"language": {"zh": {}, "en": {}, "other": {}}},
        "rows": 75,
        "forgetting": "General questions cost 0.16 bits more.",
    },
    data={
        "total": {
            "found": 3840, "kept": 3801, "duplicates_exact": 20, "duplicates_near": 10,
            "rejected": {"too_short": 9}, "splits": {"train": 3000},
        }
    },
)  # fmt: skip
CHECKS = [
    {
        "export": "q8_0",
        "client": "llama.cpp",
        "mean_kl": 0.0004,
        "loss_difference": -0.0001,
        "same_prompts": 1.0,
    }
]


def front_matter(text: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(re.match(r"---\n(.*?)---\n", text, re.DOTALL)[1])  # type: ignore[index]
    return loaded


@pytest.mark.parametrize(
    ("export", "library", "relation"),
    [("adapter", "peft", "adapter"), ("merged", "transformers", "finetune"), ("gguf", "gguf", "quantized")],
)
def test_the_front_matter_is_what_hubs_read(export: str, library: str, relation: str) -> None:
    front = front_matter(CARD.text(export, [], []))
    assert front["base_model"] == "Qwen/Qwen3-4B-Thinking-2507"
    assert front["base_model_relation"] == relation
    assert front["library_name"] == library
    assert front["license"] == "apache-2.0"
    assert front["language"] == ["en", "zh"]


def test_a_local_base_is_not_named_as_if_it_were_on_a_hub() -> None:
    text = replace(CARD, base="./models/mine", is_on_hub=False).text("merged", [], [])
    assert "base_model" not in front_matter(text)
    assert "# mine, tuned" in text
    assert "./models" not in text


def test_results_data_and_settings_are_told_in_words_and_numbers() -> None:
    text = CARD.text("merged", CHECKS, [])
    assert "| loss, nats a token | 0.675 | 0.189 | better |" in text
    assert "On 75 held-out answers" in text
    assert "General questions cost" in text
    assert "| found | 3,840 |" in text
    assert "| rejected | 9 |" in text
    assert "| of them train | 3,000 |" in text
    assert "1,200 steps on 168,060 tokens" in text
    assert "| `lora_r` | 16 |" in text
    assert "max_memory_gb" not in text
    assert "| q8_0 | llama.cpp | 0.0004 | -0.0001 | 100% | — |" in text


@pytest.mark.parametrize("export", ["adapter", "merged"])
def test_the_code_to_load_it_compiles(export: str) -> None:
    code = re.search(r"```python\n(.*?)```", CARD.text(export, [], []), re.DOTALL)
    assert code is not None
    compile(code[1], export, "exec")
    assert ("AutoPeftModelForCausalLM" in code[1]) == (export == "adapter")


def test_the_adapter_answers_with_the_settings_beside_it(
    base_folder: Path, adapter_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain peft reads the base model's settings, which give 20 tokens and perhaps sample."""
    folder = tmp_path / "adapter"
    shutil.copytree(adapter_folder, folder)
    write_base_path(folder, str(base_folder), None)
    GenerationConfig(max_new_tokens=33, min_new_tokens=33, do_sample=False).save_pretrained(str(folder))
    monkeypatch.chdir(folder)
    found: dict[str, Any] = {}
    exec(re.search(r"```python\n(.*?)```", CARD.text("adapter", [], []), re.DOTALL)[1], found)  # type: ignore[index]
    assert found["answer"].shape[1] - found["prompt"]["input_ids"].shape[1] == 33


def test_the_commands_name_the_files_that_are_there() -> None:
    text = CARD.text("gguf", [], ["model-f16.gguf", "model-q8_0.gguf", "README.md"])
    assert "llama-cli -m model-q8_0.gguf --jinja -n 700" in text
    assert "`model-f16.gguf`, `model-q8_0.gguf`: the smaller" in text
    assert "ollama create my-model -f Modelfile" in CARD.text("ollama", [], [])


def test_a_licence_that_nothing_tells_is_asked_for() -> None:
    text = replace(CARD, licence=Licence(None, None)).text("merged", [], [])
    assert front_matter(text)["license"] == "other"
    assert "look it up" in text


def test_the_licence_is_found_in_the_card_the_file_and_the_name(base_folder: Path, tmp_path: Path) -> None:
    assert find_licence(ModelSource("demo")).name == "apache-2.0"
    plain = find_licence(ModelSource(str(base_folder)))
    assert plain == Licence(None, None)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((base_folder / name).read_bytes())
    source = ModelSource(str(tmp_path))
    (tmp_path / "LICENSE").write_text("                 Apache License\n          Version 2.0")
    assert find_licence(source) == Licence("apache-2.0", tmp_path / "LICENSE")
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# x")
    assert find_licence(source).name == "mit"


@pytest.mark.parametrize(
    ("name", "licence"),
    [
        ("Qwen3-4B-Thinking-2507", "apache-2.0"), ("Qwen3-0.6B", "apache-2.0"), ("Qwen3-30B-A3B", "apache-2.0"),
        ("Qwen3-mine", None),
    ],
)  # fmt: skip
def test_the_open_qwen3_models_are_known_by_name(
    name: str, licence: str | None, base_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / name).symlink_to(base_folder, target_is_directory=True)
    assert find_licence(ModelSource(str(tmp_path / name))).name == licence


def test_a_model_without_held_out_rows_says_that_it_was_not_measured() -> None:
    evaluation = {"verdict": "Not measured. Put files under test/.", "base": {}, "tuned": {}, "rows": 0}
    text = replace(CARD, evaluation=evaluation, compared_on="train").text("gguf", CHECKS, [])
    assert "was not measured: no conversation was held out" in text
    assert "Put files under test/" not in text
    assert "On rows of the training, opened by" in text
    assert "held-out" not in text


def test_a_model_measured_on_validation_says_so_without_its_authors_remedy() -> None:
    remark = "These are validation rows: put files under test/ in data_dir."
    evaluation = {**CARD.evaluation, "verdict": f"Better: 72% lower. {remark}", "remark": remark}
    text = replace(CARD, evaluation=evaluation).text("gguf", CHECKS, [])
    assert "Better: 72% lower. It was measured on the validation split." in text
    assert "data_dir" not in text
