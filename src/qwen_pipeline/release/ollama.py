"""An Ollama Modelfile whose prompts are those that were trained on, and a reading of it for the gate."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qwen_pipeline.errors import ExportError
from qwen_pipeline.release.turn_template import TurnTemplate

# Never written, since a chat template leaves the thoughts of earlier turns out; that it is there tells Ollama which
# tags a thought has, so that it keeps thought and answer apart. Source: ollama, thinking/template.go, InferTags.
THOUGHT = "{{ if false }}<think>{{ .Thinking }}</think>{{ end }}"
# Ollama cuts the beginning of what is longer off, without a word. Source: its FAQ, for cards below 24 GB.
LEAST_CONTEXT = 4096
_ACTION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_ROLE = re.compile(r'(?:else )?if eq \.Role "(\w+)"')


def write_modelfile(model: str, turns: TurnTemplate, generation: Mapping[str, Any], context: int) -> str:
    """The Modelfile's text.

    Literals are written as Go strings: no editor and no trimming can change their line breaks.

    Args:
        model: The GGUF file, relative to the Modelfile.
        turns: The pieces of the chat template.
        generation: ``generation_config``.
        context: Tokens that a prompt and its answer may have together.
    """
    roles = {"system": turns.system, "user": turns.user, "assistant": turns.assistant}
    body = "".join(
        f'{{{{ {"else if" if number else "if"} eq .Role "{role}" }}}}{_go(start)}{{{{ .Content }}}}{_go(end)}'
        for number, (role, (start, end)) in enumerate(roles.items())
    )
    thought = THOUGHT if "<think>" in turns.prompt else ""
    template = f"{{{{ range .Messages }}}}{thought}{body}{{{{ end }}}}{{{{ end }}}}{_go(turns.prompt)}"
    lines = [f"FROM {model}", f'TEMPLATE """{template}"""', f"PARAMETER stop {json.dumps(turns.stop)}"]
    lines += [f"PARAMETER {name} {value}" for name, value in _sampling(generation).items()]
    if context > LEAST_CONTEXT:
        lines.append(f"PARAMETER num_ctx {context}")
    if turns.default_system:
        lines.append(f'SYSTEM """{turns.default_system}"""')
    return "\n".join(lines) + "\n"


def render_modelfile(modelfile: str, messages: Sequence[Mapping[str, str]]) -> str:
    """The prompt that Ollama makes of a conversation with this Modelfile.

    Reads what ``write_modelfile`` writes: a range over the messages, choices by role, strings, contents.

    Args:
        modelfile: The text as shipped.
        messages: ``role`` and ``content`` of each turn.

    Raises:
        ExportError: The template has something else in it.
    """
    found = re.search(r'TEMPLATE """(.*?)"""', modelfile, re.DOTALL)
    if found is None:
        raise ExportError("The Modelfile has no TEMPLATE; run the export stage again.")
    loop, _, prompt = found[1].replace(THOUGHT, "").rpartition("{{ end }}{{ end }}")
    default = re.search(r'SYSTEM """(.*?)"""', modelfile, re.DOTALL)
    turns = [_without_thought(turn) for turn in messages] if THOUGHT in found[1] else list(messages)
    if default and not any(turn["role"] == "system" for turn in turns):
        turns.insert(0, {"role": "system", "content": default[1]})
    branches = _branches(loop)
    return "".join(branches[turn["role"]].replace("\0", turn["content"]) for turn in turns) + "".join(
        _literals(prompt)
    )


def _without_thought(turn: Mapping[str, str]) -> Mapping[str, str]:
    """A turn as Ollama keeps it: the thought of an answer is not in its content."""
    if turn["role"] != "assistant":
        return turn
    return {"role": "assistant", "content": turn["content"].rpartition("</think>")[2].lstrip()}


def stops_of(modelfile: str) -> list[str]:
    """The stop words of a Modelfile."""
    return [json.loads(word) for word in re.findall(r"^PARAMETER stop (.+)$", modelfile, re.MULTILINE)]


def _branches(loop: str) -> dict[str, str]:
    """What is written for each role; the content's place is marked with a null character."""
    branches: dict[str, str] = {}
    role = ""
    for action in _ACTION.findall(loop):
        action = action.strip()
        if action == "range .Messages":
            continue
        if choice := _ROLE.fullmatch(action):
            role = choice[1]
            branches[role] = ""
        else:
            branches[role] += "\0" if action == ".Content" else "".join(_literals(f"{{{{{action}}}}}"))
    return branches


def _literals(text: str) -> Iterator[str]:
    for action in _ACTION.findall(text):
        try:
            yield json.loads(action.strip())
        except ValueError as error:
            raise ExportError(
                f"The Modelfile's template has {action.strip()!r}, which is not read here."
            ) from error


def _go(text: str) -> str:
    """A text as a Go string in an action; nothing for an empty text."""
    return f"{{{{ {json.dumps(text)} }}}}" if text else ""


def _sampling(generation: Mapping[str, Any]) -> dict[str, Any]:
    sampling = {
        "num_predict": generation["max_new_tokens"],
        "repeat_penalty": generation["repetition_penalty"],
    }
    if not generation["do_sample"]:
        return {"temperature": 0, **sampling}
    names = ("temperature", "top_p", "top_k")
    return {**{name: generation[name] for name in names}, **sampling}
