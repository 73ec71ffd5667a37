"""`kedro memory-plan`: peak GPU memory and the settings that fit, before anything is loaded."""

import json
from typing import Any

import click

from qwen_pipeline.commands.project import one_sentence, read_groups, with_parameters


@click.command("memory-plan")
@with_parameters
@click.option("--cpu", is_flag=True, help="Plan for this machine's memory instead of a card's.")
@click.option("--json", "as_json", is_flag=True, help="The plan as JSON.")
@one_sentence
def memory_plan(env: str | None, params: dict[str, Any], cpu: bool, as_json: bool) -> None:
    """Predict a training's peak memory, without a GPU and without weights.

    Rows have the lengths of `tokenized_train` where it exists, else all of max_sequence_length.

    Example: kedro memory-plan --env qwen3_4b --params max_memory_gb=12
    """
    from transformers import AutoConfig

    from qwen_pipeline.memory.cap import planned_cap
    from qwen_pipeline.memory.plan import make_plan
    from qwen_pipeline.memory.plan_table import plan_report, plan_table
    from qwen_pipeline.model.source import ModelSource
    from qwen_pipeline.params.train import TrainParameters
    from qwen_pipeline.training.planning import plan_request

    _, groups = read_groups(env, params)
    parameters = TrainParameters(**groups["train"])
    lengths, source = _row_lengths(env, params, parameters)
    directory = ModelSource(parameters.model_name).directory(weights=False)
    config = AutoConfig.from_pretrained(str(directory))
    cap = planned_cap(parameters.max_memory_gb, "cpu" if cpu else "cuda")
    plan = make_plan(plan_request(parameters, config, lengths, cap, on_gpu=not cpu))
    if as_json:
        click.echo(
            json.dumps({"model_name": parameters.model_name, "rows": source, **plan_report(plan)}, indent=2)
        )
        return
    from rich.console import Console

    Console().print(plan_table(plan))
    click.echo(f"{parameters.model_name}, r={parameters.lora_r}, {parameters.optim}; {source}.")


def _row_lengths(env: str | None, params: dict[str, Any], parameters: Any) -> tuple[list[int], str]:
    """Tokens of each training row, and in words where they come from."""
    from pathlib import Path

    from kedro.framework.session import KedroSession

    from qwen_pipeline.training.fetch import row_lengths

    limit = parameters.max_sequence_length
    with KedroSession.create(Path.cwd(), env=env, runtime_params=params) as session:
        catalog: Any = session.load_context().catalog  # type: ignore[attr-defined]
        if catalog.exists("tokenized_train"):
            lengths = [min(length, limit) for length in row_lengths(catalog.load("tokenized_train"))]
            return (
                lengths,
                f"{len(lengths):,} rows of tokenized_train, the longest of {max(lengths):,} tokens",
            )
    return [limit] * parameters.examples_per_step, f"rows of {limit:,} tokens, as nothing is tokenized yet"
