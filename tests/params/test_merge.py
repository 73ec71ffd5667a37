"""Layers of parameters meet whatever way they are written, and a mistake is told with its remedy."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from qwen_pipeline.errors import ParameterError
from qwen_pipeline.params.groups import GROUPS, groups_with, parameter_names
from qwen_pipeline.params.merge import build_groups, flatten_layer, merge_layers


def build(*layers: dict[str, object]) -> dict[str, dict[str, object]]:
    return build_groups(merge_layers(flatten_layer(layer, f"layer {i}") for i, layer in enumerate(layers)))


def test_a_flat_key_and_a_stage_key_mean_the_same() -> None:
    assert build({"batch_size": 1}) == build({"train": {"batch_size": 1}})


def test_a_later_layer_wins_whichever_way_either_is_written() -> None:
    assert build({"train": {"batch_size": 4}}, {"batch_size": 1})["train"]["batch_size"] == 1
    assert build({"batch_size": 4}, {"train": {"batch_size": 1}})["train"]["batch_size"] == 1


def test_a_stage_key_leaves_the_rest_of_its_stage_alone() -> None:
    groups = build({"train": {"batch_size": 4, "lora_r": 8}}, {"train": {"batch_size": 1}})
    assert groups["train"]["lora_r"] == 8


def test_a_shared_name_reaches_every_stage_that_has_it() -> None:
    groups = build({"train": {"model_name": "./somewhere"}})
    assert {groups[stage]["model_name"] for stage in groups_with("model_name")} == {"./somewhere"}
    assert len(groups_with("model_name")) > 1


def test_nested_values_merge_key_by_key() -> None:
    groups = build({"generation_config": {"max_new_tokens": 32}}, {"generation_config": {"top_p": 0.5}})
    generation = groups["evaluate"]["generation_config"]
    assert isinstance(generation, dict)
    assert (generation["max_new_tokens"], generation["top_p"]) == (32, 0.5)


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        ({"batch_sise": 1}, "batch_size"),
        ({"train": {"learning-rate": 1e-4}}, "learning_rate"),
        ({"generation_config": {"temprature": 1.0}}, "temperature"),
        ({"train": {"data_dir": "x"}}, "belongs to ingest"),
        ({"train": 3}, "train.NAME=VALUE"),
    ],
)
def test_a_wrong_name_is_refused_with_the_nearest_right_one(layer: dict[str, object], told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        build(layer)


@pytest.mark.parametrize(
    ("layer", "key"),
    [
        ({"learning_rate": -1}, "learning_rate=-1"),
        ({"num_epochs": "many"}, "num_epochs='many'"),
        ({"lora_r": 0}, "lora_r=0"),
        ({"adam_epsilon": 1e-300}, "adam_epsilon=1e-300"),  # nothing and infinity in float32: steps
        ({"adam_epsilon": 1e300}, "adam_epsilon=1e+300"),  # that are left out, or that change no weight
        ({"lora_alpha": 1e300}, "lora_alpha=1e+300"),
        ({"lora_alpha": 1e-300}, "lora_alpha=1e-300"),
        ({"learning_rate": 1e-300}, "learning_rate=1e-300"),
        ({"max_grad_norm": 1e-300}, "max_grad_norm=1e-300"),
        ({"dataloader_num_workers": 1, "dataloader_prefetch_factor": 10**9}, "prefetch_factor=1000000000"),
        ({"generation_config": {"top_p": 1.5}}, "generation_config.top_p=1.5"),
    ],
)
def test_a_value_out_of_range_is_refused_with_key_and_value(layer: dict[str, object], key: str) -> None:
    with pytest.raises(ParameterError) as caught:
        build(layer)
    assert key in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "told", "proposed"),
    [
        ({"batch_size": "abc"}, "batch_size='abc': it must be a valid integer or 'auto'.", "batch_size=4"),
        ({"batch_size": 0}, "batch_size=0: it must be greater than or equal to 1 or 'auto'.", "batch_size=4"),
        (
            {"save_strategy": "never"},
            "save_strategy='never': it must be 'no', 'epoch', 'steps' or 'best'.",
            "save_strategy=epoch",
        ),
        (
            {"learning_rate": 2},
            "learning_rate=2: it must be less than or equal to 1.",
            "learning_rate=0.0002",
        ),
        (
            {"gradient_checkpointing": "maybe"},
            "gradient_checkpointing='maybe': it must be a valid boolean or auto, offload, keep, recompute, keep:NUMBER.",
            "gradient_checkpointing=auto",
        ),
        (
            {"speakers": {"小王": "boss"}},
            "speakers.小王='boss': it must be 'user', 'assistant' or 'system'.",
            None,
        ),
        ({"data_dir": ""}, "data_dir='': it must have at least 1 character.", "data_dir=data/01_raw"),
        ({"bf16": "maybe"}, "bf16='maybe': it must be a valid boolean.", "bf16=true"),
        ({"batch_size": 1.5}, "batch_size=1.5: it must be a valid integer or 'auto'.", "batch_size=4"),
        (
            {"batch_size": None},
            "batch_size has no value: it must be a valid integer or 'auto'.",
            "batch_size=4",
        ),
        (
            {"save_total_limit": "None"},
            "save_total_limit='None': it must be a valid integer, or null.",
            "save_total_limit=2",
        ),
        ({"max_steps": -1}, "max_steps=-1: it must be greater than or equal to 1, or null.", None),
        (
            {"max_memory_gb": float("inf")},
            "max_memory_gb=inf: it must be a finite number.",
            "max_memory_gb=8.0",
        ),
        (
            {"generation_config": {"top_p": 3}},
            "generation_config.top_p=3: it must be less than or equal to 1.",
            "generation_config.top_p=1.0",
        ),
    ],
)
def test_a_wrong_value_is_told_once_with_all_that_it_may_be_and_one_that_it_may(
    layer: dict[str, object], told: str, proposed: str | None
) -> None:
    with pytest.raises(ParameterError) as caught:
        build(layer)
    proposal = f", such as {proposed}," if proposed else ","
    assert str(caught.value) == f"{told} Set another{proposal} or leave it out."


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("save_strategy: no\neval_strategy: off", {"save_strategy": "no", "eval_strategy": "no"}),
        ("data_dir: 2024", {"data_dir": "2024"}),
        ("gradient_checkpointing: no", {"gradient_checkpointing": False}),
        ("bf16: no", {"bf16": False}),
        ("init_lora_weights: yes", {"init_lora_weights": True}),
    ],
)
def test_what_yaml_takes_for_something_else_is_read_as_it_is_meant(
    written: str, meant: dict[str, object]
) -> None:
    groups = build(yaml.safe_load(written))
    built = {name: value for group in groups.values() for name, value in group.items()}
    assert {name: built[name] for name in meant} == meant


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        ({"batch_size": True}, "batch_size=True: it must be auto or a number, not true or false."),
        ({"learning_rate": True}, "learning_rate=True: it must be a number, not true or false."),
        ({"data_dir": False}, "data_dir=False: it must be a text, not true or false."),
        (
            {"generation_config": {"max_new_tokens": True}},
            "generation_config.max_new_tokens=True: it must be a number",
        ),
        (
            {"save_strategy": True},
            "save_strategy=True: it must be best, epoch, no or steps, not true or false.",
        ),
    ],
)
def test_true_is_no_number_and_no_text(layer: dict[str, object], told: str) -> None:
    with pytest.raises(ParameterError) as caught:
        build(layer)
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (
            {"generation_config": 5},
            "generation_config=5: it holds names and values; write generation_config.NAME=VALUE or, in a file, "
            "generation_config: {NAME: VALUE}.",
        ),
        (
            {"batch_size": "1，num_epochs=2"},
            "batch_size='1，num_epochs=2': it must be a valid integer or 'auto'. Parameters are joined by a plain comma.",
        ),
        (
            {"generation_config": {"num_beams": 2}},
            "Unknown parameter generation_config.num_beams. generation_config takes max_new_tokens, do_sample, "
            "temperature, top_p, top_k, repetition_penalty.",
        ),
    ],
)
def test_a_mistake_is_told_in_the_words_of_who_wrote_it(layer: dict[str, object], told: str) -> None:
    with pytest.raises(ParameterError) as caught:
        build(layer)
    assert str(caught.value) == told


@pytest.mark.parametrize("line", ["batch_size：1", "batch_size:1", "batch_size=1", "batch_size 1"])
def test_a_line_without_a_plain_colon_and_a_space_is_told_how_it_is_written(line: str) -> None:
    with pytest.raises(ParameterError, match="Write batch_size: VALUE, with a plain colon and a space"):
        build({line: None})


def test_a_name_unlike_any_gets_no_random_proposal() -> None:
    with pytest.raises(ParameterError, match=r"docs/parameters\.md has all names\.$"):
        build({"parameters": {"batch_size": 1}})


def test_exports_are_a_list_in_yaml_and_joined_by_a_plus_on_the_command_line() -> None:
    listed = build({"export_formats": ["adapter", "gguf"], "gguf_types": ["q8_0"]})
    assert listed == build({"export_formats": "adapter+gguf", "gguf_types": "q8_0"})
    with pytest.raises(ParameterError, match="'safetensors' is no export format"):
        build({"export_formats": ["safetensors"]})


def test_languages_are_joined_by_a_plus_on_the_command_line() -> None:
    assert build({"languages": "zh+en"})["clean"]["languages"] == ["zh", "en"]


def test_one_name_with_two_values_in_one_layer_is_refused() -> None:
    with pytest.raises(ParameterError, match="twice"):
        flatten_layer({"batch_size": 1, "train": {"batch_size": 2}}, "conf/local")


@given(st.text(min_size=1))
def test_any_unknown_name_is_a_parameter_error(name: str) -> None:
    if name in parameter_names() or name in GROUPS:
        return
    with pytest.raises(ParameterError):
        flatten_layer({name: 1}, "--params")


def test_what_is_built_validates_again_to_the_same() -> None:
    groups = build({"learning_rate": "1e-4"})
    for stage, cls in GROUPS.items():
        assert cls.model_validate(groups[stage]).model_dump(mode="json") == groups[stage]
    assert groups["train"]["learning_rate"] == 1e-4


def test_a_name_that_several_stages_share_has_one_default() -> None:
    groups = build({})
    for name in parameter_names():
        values = [groups[stage][name] for stage in groups_with(name)]
        assert all(value == values[0] for value in values), name


def test_every_parameter_is_described() -> None:
    for stage, cls in GROUPS.items():
        for name, field in cls.model_fields.items():
            assert field.description, f"{stage}.{name}"
