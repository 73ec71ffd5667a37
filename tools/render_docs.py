"""Write the documents that are made from tables: docs/troubleshooting.md, .zh.md and docs/parameters.md.

    .venv/bin/python tools/render_docs.py

The troubleshooting pages come from docs/symptoms.yml, the parameters from their models; tests/test_documents.py says when a
page is no longer current.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from qwen_pipeline.params.fields import run_time_fields
from qwen_pipeline.params.groups import GROUPS

ROOT = Path(__file__).resolve().parents[1]
WORDS: dict[str, dict[str, str]] = {
    "en": {
        "title": "# Troubleshooting",
        "other": "[中文](troubleshooting.zh.md)",
        "opening": (
            "Problems that people meet when they fine-tune: what the system does by itself, and what you can do. Each entry names its code and the "
            "tests that provoke it. If your problem is not in the list, `kedro doctor` checks machine, model and data, and "
            "`kedro doctor --report support.json` writes down what others need to help you, without secrets."
        ),
        "head": "| | Symptom | Parameters |",
        "guide": "Message",
        "by_itself": "What the system does",
        "you": "What you can do",
        "code": "Code",
        "tests": "Tests",
        "comma": ", ",
        "colon": ": ",
    },
    "zh": {
        "title": "# 故障排查",
        "other": "[English](troubleshooting.md)",
        "opening": (
            "微调时常见的问题：系统会自动做什么，还需要您做什么。每一条都列出对应的代码和能够重现它的测试。"
            "如果这里没有您遇到的问题：`kedro doctor` 会检查机器、模型和数据；`kedro doctor --report support.json` "
            "会写出求助所需的全部信息，其中不含任何密钥。"
        ),
        "head": "| | 症状 | 参数 |",
        "guide": "报错",
        "by_itself": "系统自动处理",
        "you": "您可以做的",
        "code": "代码",
        "tests": "测试",
        "comma": "、",
        "colon": "：",
    },
}
_DIGITS = re.compile(r"\\+d\+")
_IDEOGRAPH = "[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"
NOTICE = "<!-- Made by tools/render_docs.py; change its source and run it again. -->"


def troubleshooting(language: str) -> str:
    """The page of symptoms in ``en`` or ``zh``."""
    table = yaml.safe_load((ROOT / "docs/symptoms.yml").read_text(encoding="utf-8"))
    words = WORDS[language]
    lines = [
        words["title"],
        "",
        NOTICE,
        "",
        words["other"],
        "",
        words["opening"],
        "",
        words["head"],
        "|---|---|---|",
    ]
    for number, row in table.items():
        named = words["comma"].join(f"`{name}`" for name in row["parameters"])
        lines.append(f"| [{number}](#{number.lower()}) | {row[language]['symptom']} | {named} |")
    for number, row in table.items():
        lines += ["", *_symptom(number, row, language)]
    return "\n".join(lines) + "\n"


def _symptom(number: str, row: dict[str, Any], language: str) -> Iterator[str]:
    words, told = WORDS[language], row[language]
    yield f'<a id="{number.lower()}"></a>'
    yield ""
    yield f"## {number} {told['symptom']}"
    yield ""
    colon = words["colon"]
    if row["guide"]:
        yield f"{words['guide']}{colon}`{row['guide'].replace('`', chr(39))}`"
        yield ""
    yield f"- **{words['by_itself']}**{colon}{_unfold(told['by_itself'])}"
    yield f"- **{words['you']}**{colon}{_unfold(told['you'])}"
    yield f"- {words['code']}{colon}{words['comma'].join(_link(path, Path(path).name) for path in row['code'])}"
    yield f"- {words['tests']}{colon.rstrip()}"
    for test in row["tests"]:
        path, _, name = test.partition("::")
        yield f"  - {_link(path, name.removeprefix('test_').replace('_', ' '))}"


def _unfold(text: str) -> str:
    """One line; YAML folds a line break into a space, which does not belong between Chinese characters."""
    return re.sub(f"(?<={_IDEOGRAPH}) (?={_IDEOGRAPH})|(?<=[。；，：）]) ", "", " ".join(text.split()))


def _link(path: str, text: str) -> str:
    return f"[{text}](../{path})"


def parameters() -> str:
    """The page of all parameters, by stage."""
    lines = [
        "# Parameters",
        "",
        NOTICE,
        "",
        "Set them in `conf/local/parameters.yml`, or for one run with `--params name=value,name=value` (a list is written `a+b`). A name alone",
        "and the name with its stage (`train.batch_size`) mean the same. A name that does not exist is refused, and the message gives the nearest one.",
        "For names of other trainers (`lora_rank`, `cutoff_len`) it gives the name used here. `None` in the table is written `null` in YAML.",
        "*Run-time* parameters change no result: changing one makes nothing stale. Memory in `_gb` means GiB. The defaults hold where no file sets the",
        "parameter; `conf/base/parameters.yml` sets some for the demo (`num_epochs`, `learning_rate`, `batch_size` and others).",
    ]
    for stage, group in GROUPS.items():
        lines += ["", f"## {stage}", "", (group.__doc__ or "").strip().splitlines()[0], ""]
        lines += ["| Parameter | Default | Values | Meaning |", "|---|---|---|---|", *_rows(group, "")]
    return "\n".join(lines) + "\n"


def _rows(group: type[BaseModel], prefix: str) -> Iterator[str]:
    unchanging = run_time_fields(group)
    for name, field in group.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            yield f"| `{prefix}{name}` | | group | {field.description} |"
            yield from _rows(type(default), f"{prefix}{name}.")
            continue
        meaning = (field.description or "") + (" *Run-time.*" if name in unchanging else "")
        yield f"| `{prefix}{name}` | {_value(default)} | {_values(field)} | {_cell(meaning)} |"


def _value(value: Any) -> str:
    """A default as one writes it in YAML."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "none" if value is None else "`[]`" if value == () else f"`{value}`"


def _values(field: FieldInfo) -> str:
    """Type and limits, as a person writes them."""
    return _cell(" ".join([_kind(field.annotation), _limits(field.metadata)]).strip())


def _kind(annotation: Any) -> str:
    """A type's name, its parts or its values; printed by Python it would differ between versions."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return " | ".join(map(_kind, parts))
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in parts)
    if origin is Annotated:
        pattern = getattr(parts[1], "pattern", None)
        limits = _limits(getattr(parts[1], "metadata", ()))
        return _alternatives(pattern) if pattern else f"{_kind(parts[0])} {limits}".strip()
    if annotation is type(None):
        return "None"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def _limits(rules: Sequence[Any]) -> str:
    return ", ".join(
        f"{sign} {getattr(rule, name)}"
        for rule in rules
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
        if getattr(rule, name, None) is not None
    )


def _alternatives(pattern: str) -> str:
    return ", ".join(f"`{re.sub(_DIGITS, 'N', one)}`" for one in pattern.strip("^$()").split("|"))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def pages() -> dict[str, str]:
    """Every page by its path in the project."""
    return {
        "docs/troubleshooting.md": troubleshooting("en"),
        "docs/troubleshooting.zh.md": troubleshooting("zh"),
        "docs/parameters.md": parameters(),
    }


if __name__ == "__main__":
    for path, text in pages().items():
        (ROOT / path).write_text(text, encoding="utf-8")
