import json
import shutil
from pathlib import Path

import pytest

from qwen_pipeline.errors import ModelSourceError, UnsupportedModelError
from qwen_pipeline.model.local_files import directory_fingerprint
from qwen_pipeline.model.source import ModelSource

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 8000000000\n"


@pytest.fixture
def copy(tiny_model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_model, tmp_path / "model")


def edit_config(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def split_into_shards(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("demo", "demo"),
        ("./Qwen3-4B-Thinking-2507", "directory"),
        ("/models/qwen", "directory"),
        ("~/qwen", "directory"),
        ("Qwen/Qwen3-4B-Thinking-2507", "hub"),
    ],
)
def test_a_name_means_the_demo_a_folder_or_a_hub_id(name: str, kind: str) -> None:
    assert ModelSource(name).kind == kind


def test_a_relative_folder_that_exists_needs_no_dot(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy.parent)
    assert ModelSource("model").directory() == copy


def test_a_misspelt_demo_is_recognised() -> None:
    with pytest.raises(ModelSourceError, match="Did you mean demo"):
        ModelSource("dmeo").directory()


def test_a_folder_that_is_not_there_is_named_with_the_alternatives() -> None:
    with pytest.raises(ModelSourceError, match=r"no-such-model.*does not exist.*hub id"):
        ModelSource("./no-such-model").directory()


def test_a_whole_folder_passes_and_one_of_modelscope_too(copy: Path) -> None:
    (copy / "configuration.json").write_text('{"framework": "pytorch", "task": "text-generation"}')
    (copy / ".msc").write_bytes(b"\x80\x04")
    assert ModelSource(str(copy)).directory() == copy


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_git_lfs_pointer_is_told_from_the_file(copy: Path, name: str) -> None:
    (copy / name).write_text(POINTER)
    with pytest.raises(ModelSourceError, match=r"git-LFS pointer.*git lfs pull"):
        ModelSource(str(copy)).directory()


def test_a_half_copied_weight_file_is_found_by_its_header(copy: Path) -> None:
    path = copy / "model.safetensors"
    whole = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(whole - 1000)
    with pytest.raises(ModelSourceError, match=f"{whole - 1000:,} bytes of {whole:,}"):
        ModelSource(str(copy)).directory()


def test_weights_of_the_older_format_pass_and_are_those_that_count(copy: Path) -> None:
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    source = ModelSource(str(copy))
    assert source.directory() == copy
    before = source.fingerprint()
    (copy / "pytorch_model.bin").write_bytes(b"others")
    assert source.fingerprint() != before


def test_a_folder_without_a_tokenizer_is_told(copy: Path) -> None:
    (copy / "tokenizer.json").unlink()
    with pytest.raises(ModelSourceError, match="no tokenizer"):
        ModelSource(str(copy)).directory(weights=False)


def test_a_missing_shard_is_named(copy: Path) -> None:
    split_into_shards(copy)
    with pytest.raises(ModelSourceError, match=r"1 of 2 weight files are missing \(model-00002-of-00002"):
        ModelSource(str(copy)).directory()


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("adapter_config.json", "holds an adapter; set model_name to the base model"),
        ("model-q8_0.gguf", "GGUF files cannot be trained"),
        ("merged/config.json", "There is one in .*/merged"),
        ("snapshots/1a2b/config.json", "There is one in .*/snapshots/1a2b"),
        ("notes.txt", "Download it again"),
    ],
)
def test_a_folder_that_is_no_models_is_told_by_what_lies_in_it(tmp_path: Path, file: str, told: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    with pytest.raises(ModelSourceError, match=f"is not a model folder. .*{told}"):
        ModelSource(str(tmp_path)).directory()


def test_weights_are_not_looked_at_when_not_asked_for(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    assert ModelSource(str(copy)).directory(weights=False) == copy
    with pytest.raises(ModelSourceError, match="no weights"):
        ModelSource(str(copy)).directory()


def test_another_architecture_is_refused_with_type_architecture_and_versions(copy: Path) -> None:
    edit_config(copy, architectures=["Qwen3MoeForCausalLM"], model_type="qwen3_moe")
    with pytest.raises(UnsupportedModelError, match=r"qwen3_moe.*Qwen3MoeForCausalLM.*transformers \d+\."):
        ModelSource(str(copy)).directory(weights=False)


def test_weights_that_are_already_quantised_are_refused(copy: Path) -> None:
    edit_config(copy, quantization_config={"quant_method": "fp8"})
    with pytest.raises(UnsupportedModelError, match=r"already quantised \(fp8\)"):
        ModelSource(str(copy)).directory()


def test_sliding_windows_are_refused(copy: Path) -> None:
    edit_config(copy, use_sliding_window=True)
    with pytest.raises(UnsupportedModelError, match="use_sliding_window"):
        ModelSource(str(copy)).directory()


def test_the_fingerprint_is_of_the_content_not_of_the_place(copy: Path, tiny_model: Path) -> None:
    assert ModelSource(str(copy)).fingerprint() == ModelSource(str(tiny_model)).fingerprint()


def test_other_weights_or_another_template_change_the_fingerprint(copy: Path) -> None:
    source = ModelSource(str(copy))
    before = source.fingerprint()
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    other_weights = source.fingerprint()
    assert {key for key in before if before[key] != other_weights[key]} == {"model.safetensors"}
    (copy / "chat_template.jinja").write_text("{{ messages }}")
    assert source.fingerprint()["chat_template.jinja"] != before["chat_template.jinja"]


@pytest.mark.parametrize("name", ["config.json", "chat_template.jinja", "merges.txt", "tokenizer.model"])
def test_every_small_file_that_decides_what_the_model_is_counts(copy: Path, name: str) -> None:
    (copy / name).write_text("one")
    before = directory_fingerprint(copy)
    (copy / name).write_text("two")
    (copy / "picture.png").write_bytes(b"of no weight")
    after = directory_fingerprint(copy)
    assert {key for key in after if after[key] != before.get(key)} == {name}


def test_of_a_large_weight_file_the_whole_header_and_its_end_count(copy: Path) -> None:
    header = b'{"__metadata__":{"note":"' + b"a" * 300_000 + b'"}}'
    content = bytearray(len(header).to_bytes(8, "little") + header + bytes(4_000_000))
    places = [None, 8 + 200_000, len(content) - 1]
    found = set()
    for place in places:
        if place is not None:
            content[place] += 1
        (copy / "model.safetensors").write_bytes(content)
        found.add(directory_fingerprint(copy)["model.safetensors"])
    assert len(found) == len(places)


def test_a_folder_is_referred_to_by_an_absolute_path_and_a_hub_model_by_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qwen_pipeline.model.local_files.check_directory", lambda path, weights: path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    assert ModelSource("./model").reference() == str(tmp_path / "model")
    assert ModelSource("Qwen/Qwen3-4B").reference() == "Qwen/Qwen3-4B"
