"""`kedro accept`: today's outputs stand although the code changed."""

from typing import Any

import click

from qwen_pipeline.commands.project import one_sentence, with_parameters


@click.command()
@click.argument("stage")
@with_parameters
@one_sentence
def accept(stage: str, env: str | None, params: dict[str, Any]) -> None:
    """Keep a stage's outputs after a refactoring.

    Use it after a change that changes no result. It accepts and records changes of code and of library versions. It does not accept a changed
    value, input or output: then run the stage.

    Example: kedro accept train
    """
    from kedro.framework.project import pipelines

    from qwen_pipeline.commands.catalog import open_catalog
    from qwen_pipeline.errors import ParameterError
    from qwen_pipeline.incremental.accept import accept_nodes
    from qwen_pipeline.incremental.ledger import Ledger
    from qwen_pipeline.incremental.lock import project_lock
    from qwen_pipeline.incremental.plan import stage_of
    from qwen_pipeline.incremental.runner import IncrementalRunner
    from qwen_pipeline.incremental.workspace import ledger_folder

    catalog = open_catalog(env, params)
    nodes = pipelines["__default__"].nodes
    of_stage = [node for node in nodes if stage in (stage_of(node), node.name)]
    if not of_stage:
        names = ", ".join(dict.fromkeys(map(stage_of, nodes)))
        raise ParameterError(f"There is no stage {stage}; kedro accept takes one of: {names}.")
    with project_lock(ledger_folder() / "lock"):
        runner = IncrementalRunner()
        accepted = accept_nodes(of_stage, runner.plan(catalog), Ledger(ledger_folder()))
        runner.remember()
    for decision in accepted:
        click.echo(f"{decision.node}: accepted although {decision.reason}")
    if not accepted:
        click.echo(f"{stage} is current: there is nothing to accept.")
