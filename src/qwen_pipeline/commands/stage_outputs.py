"""What a stage left in the catalog, for commands that only look at it."""

from collections.abc import Sequence
from typing import Any

from qwen_pipeline.errors import VersionError


def load_outputs(env: str | None, params: dict[str, Any], names: Sequence[str]) -> tuple[Any, ...]:
    """Load the newest version of each dataset.

    Args:
        env: The run environment.
        params: Run-time values, which may change the model or a path.
        names: Names of the catalog; ``base_model`` gives where the model is.

    Raises:
        VersionError: A stage has left nothing yet; the message names it.
    """
    from kedro.io import DatasetError

    from qwen_pipeline.commands.catalog import open_catalog

    catalog: Any = open_catalog(env, params)
    loaded = []
    for name in names:
        try:
            loaded.append(catalog.load(name))
        except DatasetError as error:
            if catalog.exists(name):
                raise
            raise VersionError(
                f"{name} has not been made yet; run: kedro run --pipeline {_maker(name)}"
            ) from error
    return tuple(loaded)


def stale_reason(env: str | None, params: dict[str, Any], name: str) -> str | None:
    """Why a dataset is not what these parameters would give, or None where it is current.

    Args:
        env: The run environment.
        params: Run-time values.
        name: A dataset that a node makes.
    """
    from kedro.framework.project import pipelines

    from qwen_pipeline.commands.catalog import open_catalog
    from qwen_pipeline.incremental.runner import IncrementalRunner

    nodes = pipelines["__default__"].to_outputs(name).nodes
    decisions = IncrementalRunner().plan(open_catalog(env, params)).foresee(nodes)
    stale = (f"{one.node}: {one.reason}" for one in decisions if one.action != "current")
    return next(stale, None)


def _maker(name: str) -> str:
    """The stage whose node writes a dataset."""
    from kedro.framework.project import pipelines

    for node in pipelines["__default__"].nodes:
        if name in node.outputs:
            return str(node.namespace)
    return "__default__"
