"""Names of other trainers lead to the right name here, and not to the one that is spelt most like them."""

import pytest

from qwen_pipeline.errors import ParameterError
from qwen_pipeline.params.foreign_names import _CALLED, _INSTEAD, name_here, remedy_for_foreign
from qwen_pipeline.params.groups import GROUPS, parameter_names
from qwen_pipeline.params.merge import flatten_layer


def told_about(layer: dict[str, object]) -> str:
    with pytest.raises(ParameterError) as caught:
        flatten_layer(layer, "--params")
    return str(caught.value)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("per_device_train_batch_size", "batch_size"),
        ("cutoff_len", "max_sequence_length"),
        ("lora_rank", "lora_r"),
        ("num_train_epochs", "num_epochs"),
        ("lr", "learning_rate"),
        ("val_size", "validation_fraction"),
        ("max_new_tokens", "generation_config.max_new_tokens"),
    ],
)
def test_another_trainers_name_is_told_by_the_name_here(theirs: str, ours: str) -> None:
    assert told_about({theirs: 1}) == f"Unknown parameter {theirs} in --params. It is called {ours} here."
    assert told_about({"train": {theirs: 1}}).endswith(f"It is called {ours} here.")
    assert told_about({theirs.upper().replace("_", "-"): 1}).endswith(f"It is called {ours} here.")


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        ("packing", "always packed"),
        ("overwrite_cache", "no cache to clear"),
        ("adapter_name_or_path", "begins with a new adapter"),
        ("default_system", "turn with the role system"),
        ("eos_token", "chat template ends an answer"),
        ("dataset_text_field", "column_map"),
        ("export_quantization_bit", "gguf_types"),
        ("report_to", "MLflow"),
        ("quantization_bit", "always loaded in 4 bits"),
        ("deepspeed", "one process"),
        ("resume_from_checkpoint", "by itself"),
        ("template", "the model's own"),
    ],
)
def test_what_is_always_so_is_told_with_the_word_to_leave_it_out(theirs: str, told: str) -> None:
    message = told_about({theirs: 1})
    assert told in message
    assert message.endswith(f"Leave {theirs} out.")


def test_every_name_given_here_exists_and_no_name_is_told_twice() -> None:
    for ours in _CALLED:
        name, _, nested = ours.partition(".")
        assert name in parameter_names()
        fields = [cls.model_fields[name] for cls in GROUPS.values() if name in cls.model_fields]
        assert not nested or any(nested in getattr(one.annotation, "model_fields", ()) for one in fields)
    theirs = [name for names in (*_CALLED.values(), *_INSTEAD.values()) for name in names.split()]
    assert len(theirs) == len(set(theirs))
    assert not set(theirs) & set(parameter_names())


def test_a_name_that_nobody_has_is_no_foreign_name() -> None:
    assert name_here("batch_sise") is None
    assert remedy_for_foreign("batch_sise") is None
