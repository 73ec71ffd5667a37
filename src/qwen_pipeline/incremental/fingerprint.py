"""What a node's result depends on: its code, its parameters, its inputs, the libraries that matter."""

import ast
import hashlib
import json
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGE = "qwen_pipeline"
ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "tokenizers", "pyarrow", "chardet", "sacrebleu")
LEFT_OUT = (f"{PACKAGE}.errors", f"{PACKAGE}.tracking", f"{PACKAGE}.incremental", f"{PACKAGE}.params")


def code_digests(module: str) -> dict[str, str]:
    """Digest of a module and of every first-party module that it imports, in turn.

    Comments, docstrings and formatting do not count; imports inside functions do; so do data files beside
    a module and every module of a folder that is searched at run time.

    Args:
        module: Dotted name, as in ``qwen_pipeline.pipelines.train.nodes``.

    Returns:
        Digest by dotted name.
    """
    digests: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in digests or name.startswith(LEFT_OUT):
            continue
        path = _path_of(name)
        if path is None:
            continue
        digests[name], imported = _read(path)
        waiting += imported
        if "pkgutil" in path.read_text(encoding="utf-8"):  # it searches its folder: all of it counts
            waiting += [f"{name.rpartition('.')[0]}.{file.stem}" for file in path.parent.glob("*.py")]
    return digests


def library_versions() -> dict[str, str]:
    """Installed versions of the libraries whose change may change a result."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def digest_of(value: Any) -> str:
    """SHA-256 of plain data."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def digest_path(path: Path) -> str:
    """SHA-256 over the files below ``path`` with their names; volatile JSON fields are left out."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        digest.update(str(file.relative_to(path)).encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


@cache
def _read(path: Path) -> tuple[str, list[str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names if alias.name.startswith(PACKAGE)]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            imported += [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        _drop_docstring(node)
    digest = hashlib.sha256(ast.dump(tree).encode())
    for data in sorted(path.parent.rglob("*")):
        if data.is_file() and data.suffix not in {".py", ".pyc"}:
            digest.update(data.read_bytes())
    return digest.hexdigest(), imported


def _drop_docstring(node: ast.AST) -> None:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        first = node.body[0] if node.body else None
        if (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        ):
            node.body = node.body[1:] or [ast.Pass()]


def _path_of(name: str) -> Path | None:
    base = ROOT.joinpath(*name.split(".")[1:])
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None
