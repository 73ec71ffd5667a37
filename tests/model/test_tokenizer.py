import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from qwen_pipeline.errors import ModelSourceError
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.model.tokenizer import load_tokenizer


@pytest.fixture
def copy(tiny_model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_model, tmp_path / "model")


def edit_tokenizer(folder: Path, **values: Any) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_sides_reach_the_tokenizer(tiny_model: Path) -> None:
    for side in ("left", "right"):
        tokenizer = load_tokenizer(ModelSource(str(tiny_model)), padding_side=side, truncation_side=side)
        assert (tokenizer.padding_side, tokenizer.truncation_side) == (side, side)


@pytest.mark.parametrize("pad", [None, "<|im_end|>"])
def test_the_pad_token_is_never_the_one_that_ends_a_turn(copy: Path, pad: str | None) -> None:
    edit_tokenizer(copy, pad_token=pad)
    tokenizer = load_tokenizer(ModelSource(str(copy)))
    assert tokenizer.pad_token == "<|endoftext|>"
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert len(tokenizer) <= 384


def test_where_every_candidate_ends_a_text_or_a_turn_the_users_own_is_asked_for(copy: Path) -> None:
    edit_tokenizer(copy, pad_token=None, eos_token="<|endoftext|>")
    with pytest.raises(ModelSourceError, match=r"no pad token, and no special token but .* tokenizer_kwargs"):
        load_tokenizer(ModelSource(str(copy)))
    assert load_tokenizer(ModelSource(str(copy)), pad_token="<|im_start|>").pad_token == "<|im_start|>"


@pytest.mark.parametrize("content", ["", "garbage", '{"version": "1.0"}'])
def test_a_broken_file_is_told_with_its_folder(copy: Path, content: str) -> None:
    (copy / "tokenizer.json").write_text(content)
    with pytest.raises(ModelSourceError, match=r"tokenizer in .*model cannot be read"):
        load_tokenizer(ModelSource(str(copy)))


def test_a_tokenizer_is_loaded_without_weights(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    assert load_tokenizer(ModelSource(str(copy))).chat_template


def test_a_model_without_a_template_is_refused(copy: Path) -> None:
    (copy / "chat_template.jinja").unlink()
    with pytest.raises(ModelSourceError, match="no chat template"):
        load_tokenizer(ModelSource(str(copy)))
