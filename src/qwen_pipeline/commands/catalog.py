"""The project's catalog for commands that look at data without running anything."""

from typing import Any

from qwen_pipeline.incremental.workspace import project_root


def open_catalog(env: str | None, params: dict[str, Any]) -> Any:
    """The catalog as a run with these values would have it.

    Args:
        env: The run environment; ``conf/local`` where none is named.
        params: Run-time values.

    Raises:
        ParameterError: A parameter is unknown, of the wrong type or out of its range.
    """
    from kedro.framework.project import settings
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    root = project_root()
    bootstrap_project(root)
    with KedroSession.create(root, env=env, runtime_params=params, save_on_close=False) as session:
        context: Any = session.load_context()  # type: ignore[attr-defined]
        return context._get_catalog(catalog_class=settings.DATA_CATALOG_CLASS)
