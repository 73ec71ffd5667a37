"""Schedulers of transformers by name, with the options that each takes, so that a wrong one is told before any work.

Source: transformers 5.17, ``transformers.optimization``; a test holds this table against its signatures.
"""

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

SchedulerName = Literal[
    "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup",
    "inverse_sqrt", "cosine_with_min_lr", "cosine_warmup_with_min_lr", "warmup_stable_decay",
    "reduce_lr_on_plateau", "greedy",
]  # fmt: skip
# They follow the validation loss instead of a curve: each validation is a step of theirs.
VALIDATION_SCHEDULERS = ("reduce_lr_on_plateau", "greedy")

_PLATEAU = ("mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "min_lr", "eps")
SCHEDULER_OPTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "linear": (),
        "cosine": ("num_cycles",),
        "cosine_with_restarts": ("num_cycles",),
        "polynomial": ("lr_end", "power"),
        "constant": (),
        "constant_with_warmup": (),
        "inverse_sqrt": ("timescale",),
        "cosine_with_min_lr": ("num_cycles", "min_lr", "min_lr_rate"),
        "cosine_warmup_with_min_lr": ("num_cycles", "min_lr", "min_lr_rate", "warmup_lr_rate"),
        "warmup_stable_decay": (
            "num_decay_steps", "num_stable_steps", "warmup_type", "decay_type", "min_lr_ratio", "num_cycles",
        ),
        "reduce_lr_on_plateau": _PLATEAU,
        "greedy": (*_PLATEAU, "warmup", "max_lr", "verbose", "smooth", "window_size", "reset_start"),
    }
)  # fmt: skip
_SHAPES = ("linear", "cosine", "1-sqrt")
# Options that take a word or a switch; all others take a number.
_CHOICES: Mapping[str, tuple[str | bool, ...]] = MappingProxyType(
    {
        "warmup_type": _SHAPES,
        "decay_type": _SHAPES,
        "mode": ("min", "max"),
        "threshold_mode": ("rel", "abs"),
        "verbose": (True, False),
        "smooth": (True, False),
    }
)
# Exactly one of these has to be given.
_NEEDED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "warmup_stable_decay": ("num_decay_steps",),
        "cosine_with_min_lr": ("min_lr", "min_lr_rate"),
        "cosine_warmup_with_min_lr": ("min_lr", "min_lr_rate"),
    }
)


def require_scheduler_options(name: str, options: Mapping[str, Any]) -> None:
    """Refuse options that a scheduler does not take, values of another kind, and the lack of one that it needs.

    Args:
        name: ``lr_scheduler_type``.
        options: ``lr_scheduler_kwargs``.

    Raises:
        ValueError: With the option, and the right ones.
    """
    known = SCHEDULER_OPTIONS[name]
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, known, n=1, cutoff=0.5)
            taken = f"did you mean {near[0]}" if near else f"it takes {', '.join(known) or 'no options'}"
            raise ValueError(
                f"lr_scheduler_kwargs: lr_scheduler_type={name} knows no option {option}; {taken}"
            )
        _require_value(option, options[option])
    needed = _NEEDED.get(name, ())
    if needed and sum(option in options for option in needed) != 1:
        one = f"exactly one of {' and '.join(needed)}" if len(needed) > 1 else needed[0]
        raise ValueError(f"lr_scheduler_type={name} needs {one}; set lr_scheduler_kwargs.{needed[0]}=VALUE")


def _require_value(option: str, value: Any) -> None:
    if (choices := _CHOICES.get(option)) is not None:
        if value not in choices:
            told = ", ".join(str(one).lower() for one in choices)
            raise ValueError(f"lr_scheduler_kwargs.{option}={value!r}: it must be one of {told}")
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"lr_scheduler_kwargs.{option}={value!r}: it must be a number")
