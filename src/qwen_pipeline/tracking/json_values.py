"""Values as JSON has them: NaN and infinities, which it does not have, become null."""

import json
import math
from collections.abc import Mapping
from typing import Any


def as_json_values(value: Any) -> Any:
    """Plain data with ``None`` for every number that is not finite, however deep it stands."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: as_json_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json_values(item) for item in value]
    return value


def json_document(content: Mapping[str, Any] | str) -> str:
    """A document's text: JSON that any reader takes; a text stays as it is."""
    if isinstance(content, str):
        return content
    return json.dumps(as_json_values(content), ensure_ascii=False, indent=2, allow_nan=False)
