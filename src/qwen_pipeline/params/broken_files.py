"""Which configuration file cannot be read, where, and what to do about it."""

from pathlib import Path

from omegaconf import OmegaConf
from yaml import MarkedYAMLError


def explain_broken_file(folder: Path) -> str | None:
    """A sentence about the first YAML file of ``conf/ENVIRONMENT`` that cannot be read; ``None`` where all can.

    Args:
        folder: An environment's folder; files are named from its parent's parent, the project.
    """
    for path in sorted(folder.rglob("*.y*ml")):
        shown = path.relative_to(folder.parent.parent).as_posix()
        content = path.read_bytes()
        try:
            content.decode("utf-8-sig")
        except UnicodeDecodeError as failure:
            line = content.count(b"\n", 0, failure.start) + 1
            return (
                f"{shown}, line {line}: not UTF-8, as configuration has to be. Save it as UTF-8 in your editor, or: "
                f"iconv -f gb18030 -t utf-8 {shown} > new.yml && mv new.yml {shown}"
            )
        try:
            OmegaConf.load(path)
        except MarkedYAMLError as failure:
            mark = failure.problem_mark
            line = mark.line + 1 if mark else 1
            return f"{shown}, line {line}: {failure.problem}. Each line is NAME: VALUE, indented alike; see conf/base/parameters.yml."
    return None
