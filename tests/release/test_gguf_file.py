import shutil
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from transformers import AutoConfig, AutoTokenizer

from qwen_pipeline.errors import ExportError
from qwen_pipeline.model.merge import StoredWeights
from qwen_pipeline.release.gguf_file import GgufWeights, tensor_names, write_gguf
from qwen_pipeline.release.gguf_vocabulary import same_vocabulary

SAMPLING = {"do_sample": True, "temperature": 0.6, "top_p": 0.95, "top_k": 20, "repetition_penalty": 1.0}


def write(base: Path, path: Path, kind: str, **config: Any) -> GgufWeights:
    loaded = AutoConfig.from_pretrained(base)
    for name, value in config.items():
        setattr(loaded, name, value)
    weights = StoredWeights(base)
    write_gguf(path, loaded, weights, AutoTokenizer.from_pretrained(base), kind, "tiny", SAMPLING)
    return GgufWeights(path, tensor_names(loaded, weights))


@pytest.mark.parametrize(("kind", "worst"), [("f16", 1e-3), ("q8_0", 1e-2)])
def test_every_weight_comes_back_within_the_types_precision(
    kind: str, worst: float, base_folder: Path, tmp_path: Path
) -> None:
    written = write(base_folder, tmp_path / "m.gguf", kind)
    stored = StoredWeights(base_folder)
    assert set(written.shapes) == set(stored.shapes)
    for name in stored.shapes:
        scale = float(stored[name].abs().max())
        assert float((written[name] - stored[name]).abs().max()) <= worst * scale
        if stored[name].ndim == 1:
            torch.testing.assert_close(written[name], stored[name])


def test_shape_sampling_and_end_of_turn_are_in_the_file(base_folder: Path, tmp_path: Path) -> None:
    written = write(base_folder, tmp_path / "m.gguf", "f16")
    tokenizer = AutoTokenizer.from_pretrained(base_folder)
    assert written.field("general.architecture") == "qwen3"
    assert written.field("qwen3.attention.key_length") == 32
    assert written.field("qwen3.rope.freq_base") == 10_000.0
    assert written.field("tokenizer.ggml.pre") == "qwen2"
    assert written.field("tokenizer.ggml.eos_token_id") == tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert written.field("tokenizer.ggml.add_bos_token") is False
    assert written.field("general.sampling.temp") == pytest.approx(0.6)
    kinds = written.field("tokenizer.ggml.token_type")
    assert kinds[tokenizer.convert_tokens_to_ids("<|im_end|>")] == gguf.TokenType.CONTROL
    assert kinds[tokenizer.convert_tokens_to_ids("<think>")] == gguf.TokenType.USER_DEFINED


def test_the_end_of_turn_is_the_one_that_the_template_writes(base_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(base_folder, tmp_path / "base")
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_end|>", "</tool_call>"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.save_pretrained(folder)
    written = write(folder, tmp_path / "m.gguf", "f16")
    assert written.field("tokenizer.ggml.eos_token_id") == tokenizer.convert_tokens_to_ids("</tool_call>")
    assert same_vocabulary(written.field, tokenizer)


def test_a_changed_template_is_another_vocabulary(base_folder: Path, tmp_path: Path) -> None:
    written = write(base_folder, tmp_path / "m.gguf", "f16")
    tokenizer = AutoTokenizer.from_pretrained(base_folder)
    assert same_vocabulary(written.field, tokenizer)
    tokenizer.chat_template += " "
    assert not same_vocabulary(written.field, tokenizer)


def test_an_architecture_without_a_place_in_the_format_is_told(base_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"this model is llama; set export_formats=adapter\+merged"):
        write(base_folder, tmp_path / "m.gguf", "f16", model_type="llama")


def test_stretched_rotary_positions_are_told(base_folder: Path, tmp_path: Path) -> None:
    rope = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0}
    with pytest.raises(ExportError, match="plain rotary positions, and this model has yarn"):
        write(base_folder, tmp_path / "m.gguf", "f16", rope_parameters=rope)


def test_a_write_that_fails_leaves_no_open_file(
    base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(data: Any, kind: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gguf.quants, "quantize", fail)
    with pytest.raises(OSError, match="No space left") as failure:
        write(base_folder, tmp_path / "m.gguf", "f16")
    assert failure.tb  # it holds the writer
    opened = {path.resolve() for path in Path("/proc/self/fd").iterdir()}
    assert tmp_path / "m.gguf" not in opened
