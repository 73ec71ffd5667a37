import json
from pathlib import Path

import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerFast

from qwen_pipeline.model.portable import portable_config, save_tokenizer
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.model.tokenizer import load_tokenizer


def test_special_tokens_are_written_under_the_name_that_transformers_4_reads(
    tiny_model: Path, tmp_path: Path
) -> None:
    tokenizer = load_tokenizer(ModelSource(str(tiny_model)))
    tokenizer.add_special_tokens({"extra_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    save_tokenizer(tokenizer, tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert "extra_special_tokens" not in config  # transformers 4 calls .keys() of it
    assert config["additional_special_tokens"] == ["<|im_start|>", "<|im_end|>"]
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again.all_special_tokens == tokenizer.all_special_tokens
    assert again.get_vocab() == tokenizer.get_vocab()
    assert again.chat_template == tokenizer.chat_template


def test_a_tokenizer_of_no_family_names_a_class_that_transformers_4_knows(
    tiny_model: Path, tmp_path: Path
) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tiny_model)
    save_tokenizer(tokenizer, tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    text = "a b <|im_end|>\n\n1"
    assert AutoTokenizer.from_pretrained(tmp_path)(text)["input_ids"] == tokenizer(text)["input_ids"]


def test_positions_and_dtype_are_named_for_transformers_4_and_5(tiny_model: Path, tmp_path: Path) -> None:
    saved = ModelSource(str(tiny_model)).config()
    rope = {"rope_theta": 5e6, "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512}
    config = portable_config({**saved, "rope_parameters": rope}, torch.bfloat16)
    assert (config["rope_theta"], config["rope_scaling"]["factor"]) == (5e6, 4.0)
    assert config["torch_dtype"] == config["dtype"] == "bfloat16"
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    read = AutoConfig.from_pretrained(tmp_path)
    assert read.rope_parameters == rope
    assert read.dtype == torch.bfloat16


def test_plain_positions_have_no_scaling(tiny_model: Path) -> None:
    config = portable_config(ModelSource(str(tiny_model)).config(), torch.float16)
    assert config["rope_scaling"] is None
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"]


def test_a_configuration_of_transformers_4_keeps_its_words() -> None:
    older = {"rope_theta": 5000000, "rope_scaling": None, "torch_dtype": "bfloat16"}
    assert portable_config(older, torch.float16) == {
        **older,
        "torch_dtype": "float16",
        "dtype": "float16",
        "use_cache": True,
    }
