"""What every parameter group shares: frozen, closed to unknown keys, run-time fields marked."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class StageParameters(BaseModel):
    """A stage's parameters: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


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
