"""What every parameter group shares: frozen, closed to unknown keys, run-time fields marked."""

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator


class StageParameters(BaseModel):
    """A stage's parameters: immutable, and an unknown key is an error."""

    # A folder may be called 2024, which YAML reads as a number.
    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), coerce_numbers_to_str=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _truth_only_where_it_is_meant(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML reads a bare ``no`` as false, and pydantic takes true for the number 1."""
        if not isinstance(value, bool):
            return value
        field = cls.model_fields[str(info.field_name)]
        accepted = members(field.annotation)
        if bool in accepted or Any in accepted:
            return value
        if value is False and "no" in accepted:
            return "no"
        raise ValueError(f"it must be {_told(accepted)}, not true or false")


def _told(accepted: set[Any]) -> str:
    """What may be written, as a sentence says it."""
    names = sorted(each for each in accepted if isinstance(each, str))
    kind = "a number" if {int, float} & accepted else "a text" if str in accepted else None
    *first, last = [*names, *([kind] if kind else [])] or ["something else"]
    return f"{', '.join(first)} or {last}" if first else last


def members(annotation: Any) -> set[Any]:
    """Types and literal values that an annotation accepts."""
    arguments = get_args(annotation)
    return {annotation} if not arguments else set().union(*(members(each) for each in arguments))


def run_time(default: Any, **constraints: Any) -> Any:
    """A field that never changes a result: it invalidates no stage when it changes.

    Args:
        default: The field's default value.
        **constraints: Whatever ``pydantic.Field`` takes (``ge``, ``le``, ``description``, …).
    """
    return Field(default, json_schema_extra={"run_time": True}, **constraints)


def run_time_fields(group: type[BaseModel]) -> frozenset[str]:
    """Names of the fields of ``group`` that are marked as run-time."""
    return frozenset(
        name
        for name, field in group.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("run_time")
    )
