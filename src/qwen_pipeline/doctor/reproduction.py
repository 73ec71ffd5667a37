"""Commands that show the same on another machine: the parameters in force on the demo model and the sample data."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

import yaml

from qwen_pipeline.doctor.finding import Inspection
from qwen_pipeline.errors import ModelSourceError
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.params.groups import GROUPS
from qwen_pipeline.params.merge import build_groups, flatten_layer, merge_layers

OF_THIS_MACHINE = ("data_dir", "model_name", "model_revision", "checkpoint_dir")  # not there on another one


def reproduce(inspection: Inspection) -> list[str]:
    """The commands, one a line.

    The parameters go into a file: ``--params`` splits at commas and guesses types.

    Args:
        inspection: The project and its parameters.
    """
    lines = ["git clone <this project> && cd <it>", "make setup"]
    changed = changed_parameters(inspection)
    if changed:
        text = json.dumps(changed, ensure_ascii=False)  # YAML reads it as well
        lines.append(f"printf '%s\\n' {shlex.quote(text)} > conf/local/parameters.yml")
    lines.append(".venv/bin/kedro run --yes")
    model = inspection.model()
    if _is_anywhere(model):
        lines.append(f".venv/bin/kedro run --yes --params {shlex.quote(f'model_name={model.name}')}")
    return lines


def changed_parameters(inspection: Inspection) -> dict[str, Any]:
    """The parameters in force that a fresh copy of the project has not, by flat name, without places of this machine."""
    fresh = _flat(build_groups(_base_layer(inspection)))
    return {
        name: value
        for name, value in _flat(inspection.groups).items()
        if name not in OF_THIS_MACHINE and name in fresh and value != fresh[name]
    }


def _is_anywhere(model: ModelSource) -> bool:
    """Whether another machine finds the model, or fails to for the same reason."""
    try:
        return model.kind == "hub"
    except ModelSourceError:
        return True


def _base_layer(inspection: Inspection) -> dict[str, Any]:
    """``conf/base``, whose files a fresh copy has."""
    files = sorted((inspection.project_path / "conf/base").glob("parameters*.yml"))
    layers = [yaml.safe_load(path.read_text(encoding="utf-8")) or {} for path in files]
    return merge_layers(flatten_layer(layer, "conf/base") for layer in layers)


def _flat(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: value for stage in GROUPS for name, value in groups.get(stage, {}).items()}
