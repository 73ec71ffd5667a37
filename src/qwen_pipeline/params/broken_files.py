"""Which configuration file cannot be read, where, and what to do about it."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError

FORM = "Each line is NAME: VALUE, indented alike; see conf/base/parameters.yml."


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
            if not isinstance(OmegaConf.load(path), DictConfig):
                return f"{shown}: a list, where names with values belong. {FORM}"
        except OSError:  # OmegaConf's word for a file that is a number, or true
            return f"{shown}: no names with values. {FORM}"
        except MarkedYAMLError as failure:
            mark = failure.problem_mark
            line = mark.line + 1 if mark else 1
            return f"{shown}, line {line}: {failure.problem}. {FORM}"
        except YAMLError as failure:
            return f"{shown}: {str(failure).splitlines()[0]}. Write it anew as text, in UTF-8."
    return None


def explain_interpolation(failure: Exception, origin: str) -> str | None:
    """A sentence about a ``${…}`` that cannot be filled in; for other failures their own words.

    Args:
        failure: What Kedro's loader raised.
        origin: The environment, such as ``conf/local``.
    """
    if not isinstance(failure, OmegaConfBaseException):
        return str(failure) if isinstance(failure, YAMLError | ValueError) else None
    return (
        f"{failure.full_key or 'A value'} in {origin}: {str(failure.msg).splitlines()[0].rstrip('.')}. Write the value itself, or "
        "${globals:NAME} with NAME in globals.yml; ${NAME} reads its own environment only, and oc.env is for credentials."
    )
