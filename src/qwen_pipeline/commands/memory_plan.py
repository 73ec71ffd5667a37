"""`kedro memory-plan`: the peak of a training, by part, before anything is loaded."""

import json
from typing import Any

import click

from qwen_pipeline.commands.project import one_sentence, read_groups, with_parameters

CARDS_GIB = (6.0, 8.0, 12.0, 16.0, 24.0)


@click.command(name="memory-plan")
@with_parameters
@click.option(
    "--device",
    type=click.Choice(["cuda", "cpu"]),
    default="cuda",
    show_default=True,
    help="Device to plan for; it need not be present.",
)
@click.option(
    "--use-data", is_flag=True, help="Plan for the tokenized rows instead of rows of max_sequence_length."
)
@click.option("--cards", is_flag=True, help="Also show the fastest settings for cards of 6 to 24 GiB.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@one_sentence
def memory_plan(
    env: str | None, params: dict[str, Any], device: str, use_data: bool, cards: bool, as_json: bool
) -> None:
    """Plan the memory of a training; needs no GPU, no weights.

    Example: kedro memory-plan --env qwen3_4b --params max_memory_gb=6
    """
    from qwen_pipeline.commands.stage_outputs import load_outputs
    from qwen_pipeline.params.train import TrainParameters

    _, groups = read_groups(env, params)
    parameters = TrainParameters.model_validate(groups["train"])
    (source,) = load_outputs(env, params, ("base_model",))  # opens the project first: log levels are set

    from transformers import AutoConfig

    from qwen_pipeline.memory.cap import planned_cap
    from qwen_pipeline.memory.choice import make_plan
    from qwen_pipeline.memory.plan_table import plan_report, plan_table
    from qwen_pipeline.memory.planner import TracedSteps
    from qwen_pipeline.training.planning import plan_request

    config = AutoConfig.from_pretrained(str(source.directory(weights=False)))
    lengths = _lengths(env, params, parameters, use_data)
    traced: TracedSteps = {}

    def planned(limit_gib: float) -> Any:
        cap = planned_cap(limit_gib, device)
        return make_plan(plan_request(parameters, config, lengths, cap, device == "cuda"), traced)

    plan = planned(parameters.max_memory_gb)
    others = _for_cards(planned) if cards else {}
    if as_json:
        report = {"model_name": source.name, "device": device, **plan_report(plan)}
        click.echo(json.dumps({**report, "cards": others} if cards else report, indent=2))
        return
    from rich.console import Console

    console = Console()
    console.print(plan_table(plan))
    if cards:
        console.print(_cards_table(others))


def _lengths(env: str | None, params: dict[str, Any], parameters: Any, use_data: bool) -> Any:
    """Tokens of each row: of the data, or of a step of the longest rows that are allowed."""
    if not use_data:
        return [parameters.max_sequence_length] * parameters.examples_per_step
    from qwen_pipeline.commands.stage_outputs import load_outputs

    (rows,) = load_outputs(env, params, ("tokenized_train",))
    from qwen_pipeline.training.fetch import row_lengths

    return row_lengths(rows)


def _for_cards(planned: Any) -> dict[str, Any]:
    from qwen_pipeline.errors import MemoryPlanError
    from qwen_pipeline.memory.plan_table import plan_report

    reports: dict[str, Any] = {}
    for limit_gib in CARDS_GIB:
        try:
            reports[f"{limit_gib:g}"] = plan_report(planned(limit_gib))
        except MemoryPlanError as error:
            reports[f"{limit_gib:g}"] = {"fits": False, "reason": str(error)}
    return reports


def _cards_table(reports: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table(
        "max_memory_gb", "process, GiB", "tokens of a micro-batch", "gradient_checkpointing", "time a token",
        title="The fastest settings that fit",
        caption="Time a token is relative: 1 is a large micro-batch with every activation kept.",
    )  # fmt: skip
    for limit_gib, report in reports.items():
        if not report["fits"]:
            table.add_row(limit_gib, report["reason"], style="red")
            continue
        settings = report["settings"]
        table.add_row(
            limit_gib,
            f"{report['process_gib']:.2f}",
            f"{settings['micro_batch_tokens']:,}",
            settings["gradient_checkpointing"],
            f"{report['relative_time_per_token']:.2f}",
        )
    return table
