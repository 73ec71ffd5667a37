"""From layers of YAML and run-time values to six validated groups.

People write flat names (``batch_size: 1``) or a stage's own (``train: {batch_size: 1}``,
``train.batch_size=1``); both mean the same. Each layer is flattened first and the layers are merged
afterwards, so that a flat key in one environment and a grouped key in another still meet.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from qwen_pipeline.errors import ParameterError
from qwen_pipeline.params.fields import members
from qwen_pipeline.params.foreign_names import remedy_for_foreign
from qwen_pipeline.params.groups import GROUPS, groups_with, parameter_names

_TYPES = frozenset({"int", "float", "bool", "str", "none"})  # pydantic's names for the members of a union


def flatten_layer(layer: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Turn one layer into flat names.

    Args:
        layer: Keys as people write them: flat names, or a stage's name over a mapping.
        origin: Where the layer comes from, for the message (``conf/local``, ``--params``).

    Raises:
        ParameterError: A key is unknown, or one name is given two values in this layer.
    """
    flat: dict[str, Any] = {}
    for key, value in layer.items():
        if key in GROUPS:
            if value is not None and not isinstance(value, Mapping):
                raise ParameterError(
                    f"{key}={value!r} in {origin}: {key} is a stage; "
                    f"write {key}.NAME=VALUE or the flat NAME=VALUE."
                )
            for name, item in (value or {}).items():
                _require_known(str(name), origin, within=key)
                _put(flat, str(name), item, origin)
        else:
            _require_known(str(key), origin)
            _put(flat, str(key), value, origin)
    return flat


def merge_layers(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge flat layers, later ones winning; mappings (``generation_config``) merge key by key."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            merged[name] = _overlay(merged.get(name), value)
    return merged


def build_groups(flat: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Validate flat values into the groups that read them.

    Args:
        flat: Merged values by flat name; names left out take the default of their model.

    Returns:
        For each stage its validated group as plain data.

    Raises:
        ParameterError: A value is of the wrong type or out of its range.
    """
    groups: dict[str, dict[str, Any]] = {}
    for stage, cls in GROUPS.items():
        values = {name: value for name, value in flat.items() if name in cls.model_fields}
        try:
            groups[stage] = cls.model_validate(values).model_dump(mode="json")
        except ValidationError as error:
            raise ParameterError(_explain(error)) from error
    return groups


def _overlay(below: Any, above: Any) -> Any:
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return merge_layers((below, above))
    return above


def _put(flat: dict[str, Any], name: str, value: Any, origin: str) -> None:
    if name in flat and flat[name] != value:
        raise ParameterError(
            f"{name} is given twice in {origin}, as {flat[name]!r} and as {value!r}; "
            "it has one value for the whole project, so keep one."
        )
    flat[name] = value


def _require_known(name: str, origin: str, within: str | None = None) -> None:
    shown = f"{within}.{name}" if within else name
    fields = tuple(GROUPS[within].model_fields) if within else parameter_names()
    if name in fields:
        return
    if within and (homes := groups_with(name)):
        raise ParameterError(f"Unknown parameter {shown} in {origin}; {name} belongs to {homes[0]}.")
    raise ParameterError(f"Unknown parameter {shown} in {origin}. {_remedy(name, (*fields, *GROUPS))}")


def _remedy(name: str, known: tuple[str, ...]) -> str:
    """What to write instead of an unknown name: a mark of YAML put right, or the name that is meant."""
    stage, _, inner = name.partition(".")
    if stage in GROUPS and inner in GROUPS[stage].model_fields:  # Kedro splits such names in --params alone
        return f"Write the flat {inner}, or {stage} with {inner} below it."
    written = re.match(r"(\w+)\s*[:=\s：＝]", name)
    if written and written[1] in known:
        return f"Write {written[1]}: VALUE, with a plain colon and a space behind it."
    return remedy_for_foreign(_plain(name)) or _suggest(name, known)


def _suggest(name: str, known: Sequence[str], above: str | None = None) -> str:
    if close := difflib.get_close_matches(_plain(name), known, n=1):
        return f"Did you mean {close[0]}?"
    return f"{above} takes {', '.join(known)}." if above else "docs/parameters.md has all names."


def _plain(name: str) -> str:
    return name.lower().lstrip("-").replace("-", "_")


def _explain(error: ValidationError) -> str:
    """One clause a key: the value, the limit, and the nearest name where the key is misspelt.

    A field that takes several types gives an error for each of them; they are told as the choices.
    """
    by_key: dict[str, list[ErrorDetails]] = {}
    for details in error.errors():
        by_key.setdefault(".".join(_location(details)), []).append(details)
    return " ".join(_explain_key(key, found) for key, found in by_key.items())


def _explain_key(key: str, found: list[ErrorDetails]) -> str:
    location, value = _location(found[0]), found[0]["input"]
    if found[0]["type"] == "extra_forbidden":
        return f"Unknown parameter {key}. {_suggest(location[-1], _siblings(location), location[0])}"
    first, *others = dict.fromkeys(_limit(details) for details in found)
    told = " or ".join([first, *(other.removeprefix("it must be ") for other in others)])
    if not key:
        return f"{told}."
    if _may_be_null(location[0]) and len(location) == 1 and first.startswith("it must be"):
        told += ", or null"
    shown = f"{key} has no value" if value is None else f"{key}={value!r}"
    remedy = _joined_wrongly(value) or (_another_value(location) if first.startswith("it must ") else "")
    return f"{shown}: {told}.{remedy}"


def _joined_wrongly(value: Any) -> str:
    """Where a value holds the next parameter too, how the two are parted."""
    names = re.findall(r"[\s,，;；]+(\w+)\s*=", value) if isinstance(value, str) else []
    return " Parameters are joined by a plain comma." if any(map(groups_with, names)) else ""


def _another_value(location: list[str]) -> str:
    """What to do about a value outside of its limits; the default is always one within them."""
    field = GROUPS[groups_with(location[0])[0]].model_fields[location[0]]
    default: Any = field.get_default(call_default_factory=True, validated_data={})
    for name in location[1:]:
        default = getattr(default, name, None)
    if not isinstance(default, bool | int | float | str):
        return " Set another, or leave it out."
    shown = str(default).lower() if isinstance(default, bool) else default
    return f" Set another, such as {'.'.join(location)}={shown}, or leave it out."


def _may_be_null(name: str) -> bool:
    annotations = (cls.model_fields[name].annotation for cls in GROUPS.values() if name in cls.model_fields)
    return any(type(None) in members(annotation) for annotation in annotations)


def _limit(details: ErrorDetails) -> str:
    if details["type"] == "string_pattern_mismatch":
        choices = details["ctx"]["pattern"].strip("^($)").replace(r"\d+", "NUMBER")
        return f"it must be {choices.replace('|', ', ')}"
    if details["type"] in ("model_type", "dict_type"):
        name = _location(details)[0]
        return f"it holds names and values; write {name}.NAME=VALUE or, in a file, {name}: {{NAME: VALUE}}"
    message = details["msg"].removeprefix("Value error, ").rstrip(".").partition(", unable to ")[0]
    message = message.partition(", got a number with")[0]
    return re.sub(r"^\w+ should ", "it must ", message)


def _location(details: ErrorDetails) -> list[str]:
    """Where the value stands, without the names of the types that were tried."""
    return [str(part) for part in details["loc"] if not _is_union_tag(part)]


def _is_union_tag(part: int | str) -> bool:
    return isinstance(part, str) and (part in _TYPES or "[" in part or "-" in part)


def _siblings(location: list[str]) -> list[str]:
    """Names that are valid where the misspelt one stands, inside a nested model."""
    for cls in GROUPS.values():
        field = cls.model_fields.get(location[0])
        nested = getattr(field.annotation, "model_fields", None) if field else None
        if nested:
            return list(nested)
    return list(parameter_names())
