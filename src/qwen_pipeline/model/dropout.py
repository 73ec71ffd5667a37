"""Dropout off while the model stays in train mode."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Measure a model that trains on, without ``model.eval()``.

    An evaluation-mode forward makes bitsandbytes repack the 4-bit weights on some CPUs, and gradients are wrong
    from then on. Source: tried with bitsandbytes 0.50; can go when the repacking keeps the original.
    """
    dropouts = switch_dropout_off(model)
    try:
        yield
    finally:
        for module in dropouts:
            module.train()


def switch_dropout_off(model: nn.Module) -> list[nn.Dropout]:
    """Put every dropout that is on into evaluation mode; returns them."""
    dropouts = [m for m in model.modules() if isinstance(m, nn.Dropout) and m.training]
    for module in dropouts:
        module.eval()
    return dropouts
