"""Tell Kedro-Viz about skipped nodes, so that it shows the last run's status of all of them."""

import logging
from typing import Any

logger = logging.getLogger(__name__)

VIZ_HOOK = "PipelineRunStatusHook"


def note_skipped(hook_manager: Any, node: Any, seconds: float) -> None:
    """Report a node that is current as done, with the time its last run took.

    Kedro-Viz writes one event file a run and knows no skipped node: without this, a run in which nothing
    is to do would wipe the status. Source: ``kedro_viz.integrations.kedro.run_hooks`` of 12.5; another
    version without these names is left alone.
    """
    plugins = hook_manager.get_plugins() if hasattr(hook_manager, "get_plugins") else None
    for plugin in plugins or ():
        if type(plugin).__name__ != VIZ_HOOK or not getattr(plugin, "_should_collect_events", False):
            continue
        try:
            _add_events(plugin, node, seconds)
        except Exception as error:  # a picture never stops a run
            logger.debug("Kedro-Viz was not told of %s: %s", node.name, error)


def _add_events(plugin: Any, node: Any, seconds: float) -> None:
    from kedro_viz.integrations.kedro.hooks_utils import hash_node
    from kedro_viz.integrations.kedro.run_hooks import create_dataset_event

    names = [("after_dataset_loaded", name) for name in node.inputs if not name.startswith("params:")]
    names += [("after_dataset_saved", name) for name in node.outputs]
    for event, name in names:
        plugin._add_event(create_dataset_event(event, name, True, plugin._datasets))
    plugin._add_event(
        {
            "event": "after_node_run",
            "node": node.name,
            "node_id": hash_node(node),
            "duration": seconds,
            "status": "success",
        }
    )
    plugin._started_nodes.add(node.name)
