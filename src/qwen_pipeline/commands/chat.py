"""`kedro chat`: talk to the base, the tuned or the exported model."""

import json
import sys
from typing import Any

import click

from qwen_pipeline.commands.project import one_sentence, read_groups, with_parameters
from qwen_pipeline.errors import EvaluationError, ParameterError

SIDES = ("base", "tuned", "exported")


@click.command()
@with_parameters
@click.option(
    "--model",
    "side",
    type=click.Choice(SIDES),
    default="tuned",
    show_default=True,
    help="Which model answers.",
)
@click.option("--ask", metavar="TEXT", help="Ask one question, print the answer, and end.")
@click.option("--compare", is_flag=True, help="Also show the answer of the base model.")
@click.option("--system", metavar="TEXT", help="A system message before the first question.")
@click.option("--json", "as_json", is_flag=True, help="With --ask: question and answers as JSON.")
@one_sentence
def chat(
    env: str | None, params: dict[str, Any], side: str, ask: str | None, compare: bool,
    system: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Talk to a model.

    /new forgets the conversation, Ctrl-C stops an answer, /quit ends it.

    Example: kedro chat --ask "Should I use bf16 or fp16?" --compare
    """
    if as_json and ask is None:
        raise ParameterError("--json is for one question: add --ask TEXT.")
    if ask is not None and not ask.strip():
        raise ParameterError("--ask is empty: write the question behind it.")
    speakers = _speakers(env, params, ["base", side] if compare and side != "base" else [side], system)
    if ask is not None:
        _ask(speakers, ask, as_json)
        return
    click.echo(f"{' and '.join(speakers)}: type a question; /new forgets the conversation, /quit ends it.")
    all_asked = True
    while (line := _read_line()) is not None:
        if line == "/new":
            for conversation in speakers.values():
                conversation.forget()
        elif line:
            all_asked &= _ask_and_go_on(speakers, line)
    if not all_asked:
        sys.exit(1)


def _speakers(
    env: str | None, params: dict[str, Any], sides: list[str], system: str | None
) -> dict[str, Any]:
    """A conversation with each side, over as few loaded models as possible."""
    from qwen_pipeline.commands.stage_outputs import load_outputs

    _, groups = read_groups(env, params)
    needed = {"tuned": "adapter", "exported": "exported_model"}
    names = [needed[side] for side in sides if side in needed]
    source, *folders = load_outputs(env, params, ("base_model", *names))

    from qwen_pipeline.release.conversation import Conversation  # the project is open: log levels are set
    from qwen_pipeline.release.open_model import open_models

    settings = groups["evaluate"]
    opened = dict(zip(names, folders, strict=True))
    models = open_models(source, sides, **opened, max_memory_gb=settings["max_memory_gb"])
    generation = settings["generation_config"]
    return {side: Conversation(model, generation, system=system) for side, model in models.items()}


def _ask_and_go_on(speakers: dict[str, Any], question: str) -> bool:
    """Ask; whether the question could be. One that cannot, or an answer stopped by Ctrl-C, ends no conversation."""
    try:
        _ask(speakers, question, as_json=False)
    except KeyboardInterrupt:
        click.echo()
    except EvaluationError as refusal:
        click.secho(str(refusal), fg="red", err=True)
        return False
    return True


def _ask(speakers: dict[str, Any], question: str, as_json: bool) -> None:
    from qwen_pipeline.release.conversation import without_empty_thought

    answers: dict[str, str] = {}
    for side, conversation in speakers.items():
        if len(speakers) > 1 and not as_json:
            click.secho(f"── {side}", bold=True)
        parts: list[str] = []
        for part in without_empty_thought(conversation.stream(question)):
            parts.append(part)
            if not as_json:
                click.echo(part, nl=False)
        answers[side] = "".join(parts)
        if not as_json:
            click.echo()
    if as_json:
        click.echo(json.dumps({"question": question, "answers": answers}, ensure_ascii=False, indent=2))


def _read_line() -> str | None:
    """A typed line; None at /quit, at the end of the input and at Ctrl-C."""
    try:
        line = input("› ").strip()
    except (EOFError, KeyboardInterrupt):
        click.echo()
        return None
    return None if line in ("/quit", "/exit") else line
