"""The code that a node's result depends on: its function, and every first-party module it imports, in turn.

Imports inside functions count; so does package data beside a module, and every module of a folder that
is searched at run time, so that a new format is noticed. Of the node's own module only what its function
can reach counts. Left out: errors, tracking, and this package itself.
"""

import ast
import functools
import hashlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qwen_pipeline.incremental.durable import read_json, write_json
from qwen_pipeline.incremental.normalise import Normaliser, reachable

LEFT_OUT = ("errors", "tracking", "incremental")
PARAMETERS = "params"
LAYOUT = f"2 {sys.version_info[:2]}"  # of the cache: the normal form depends on both
SEARCHING = {"import_module", "iter_modules", "walk_packages", "__import__"}
NO_DATA = {".py", ".pyc", ".pyi", ".typed", ".so"}


@dataclass(frozen=True)
class Module:
    """What one source file adds.

    Attributes:
        digest: SHA-256 of its normal form.
        imported: Dotted names that it imports or may import, those of ``import_module("NAME")`` too.
        searches: Whether it searches folders for modules at run time.
    """

    digest: str
    imported: tuple[str, ...]
    searches: bool


class CodeReader:
    """Reads the code of nodes; a file that keeps size, times and inode is parsed once.

    Args:
        store: Where parsed files are remembered; ``None`` keeps them in memory.
    """

    def __init__(self, store: Path | None = None) -> None:
        self._store = store
        content = (read_json(store) if store else None) or {}
        self._known: dict[str, Any] = content["files"] if content.get("layout") == LAYOUT else {}
        self._dirty = False

    def read(self, function: Callable[..., Any]) -> tuple[dict[str, str], set[str]]:
        """What a function's result depends on.

        Returns:
            Digests by path in the package, and the names of the libraries that are imported.
        """
        function = _innermost(function)
        package = function.__module__.partition(".")[0]
        root = _root_of(package)
        path = _path_of(function.__module__, root)
        if path is None:
            return {function.__qualname__: _digest_of_source(function)}, set()
        own = self._module(path, function.__module__, function.__qualname__.partition(".")[0])
        digests = {_label(path, root): own.digest}
        libraries = self._follow(own, function.__module__, root, digests)
        return digests, libraries

    def save(self) -> None:
        """Remember what was parsed; a project that cannot be written is left as it is."""
        if self._store is not None and self._dirty:
            try:
                write_json(self._store, {"layout": LAYOUT, "files": self._known})
            except OSError:
                return
            self._dirty = False

    def _follow(self, own: Module, name: str, root: Path, digests: dict[str, str]) -> set[str]:
        package, libraries, seen = root.name, set[str](), {name}
        waiting = self._next(own, name, root)
        digests |= _package_data(root, _path_of(name, root))
        while waiting:
            name = waiting.pop()
            top, _, rest = name.partition(".")
            if top != package:
                libraries.add(top)
                continue
            if name in seen or not rest or rest.partition(".")[0] in LEFT_OUT:
                continue
            seen.add(name)
            path = _path_of(name, root)
            if path is None:
                continue
            module = self._module(path, name)
            digests[_label(path, root)] = module.digest
            digests |= _package_data(root, path)
            waiting += [*self._next(module, name, root), name.rpartition(".")[0]]
        return {one for one in libraries if one not in sys.stdlib_module_names}

    def _next(self, module: Module, name: str, root: Path) -> list[str]:
        names = list(module.imported)
        if module.searches:
            packages = {one for one in names if _is_package(one, root)}
            # `from text import formats` names two packages and means the inner one.
            inner = {one for one in packages if not any(n.startswith(f"{one}.") for n in packages)}
            for package in {name.rpartition(".")[0], *inner} - {""}:
                folder = root.joinpath(*package.split(".")[1:])
                if folder != root:
                    names += [f"{package}.{file.stem}" for file in sorted(folder.glob("*.py"))]
        return names

    def _module(self, path: Path, name: str, function: str | None = None) -> Module:
        stat = path.stat()
        key = f"{path}:{function}" if function else str(path)
        now = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        known = self._known.get(key)
        if known and known["stat"] == now:
            return Module(known["digest"], tuple(known["imported"]), known["searches"])
        module = parse(path.read_text(encoding="utf-8"), name, path.name == "__init__.py", function)
        self._known[key] = {"stat": now, **asdict(module)}
        self._dirty = True
        return module


def parse(source: str, name: str, is_package: bool = False, function: str | None = None) -> Module:
    """Read one source file.

    Args:
        source: Its text.
        name: Its dotted name.
        is_package: Whether it is an ``__init__.py``.
        function: Only what this function of it can reach counts.
    """
    tree = ast.parse(source)
    in_params = name.split(".")[1:2] == [PARAMETERS]
    tree = Normaliser(fields_count=not in_params).visit_Module(tree)
    if function:
        tree = reachable(tree, function)
    imported: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(node, name, is_package)
            imported += [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
    written = [found for node in ast.walk(tree) if (found := _written_out(node))]
    imported += written
    searches = sum(_last_name(node) in SEARCHING for node in ast.walk(tree)) > len(written)
    digest = hashlib.sha256(ast.dump(tree).encode()).hexdigest()
    return Module(digest[:32], tuple(dict.fromkeys(imported)), searches)


def _written_out(node: ast.AST) -> str | None:
    """The name in ``import_module("NAME")``, which is an import like any other and no search."""
    if not (isinstance(node, ast.Call) and _last_name(node.func) in SEARCHING and len(node.args) == 1):
        return None
    name = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
    return name if isinstance(name, str) and not name.startswith(".") and not node.keywords else None


def _last_name(node: ast.AST) -> str:
    return getattr(node, "attr", "") if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _origin(node: ast.ImportFrom, name: str, is_package: bool) -> str:
    if not node.level:
        return str(node.module)
    parts = name.split(".")
    base = parts[: len(parts) - node.level + (1 if is_package else 0)]
    return ".".join([*base, *([node.module] if node.module else [])])


def _innermost(function: Callable[..., Any]) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.unwrap(function)


def _root_of(package: str) -> Path:
    file = getattr(sys.modules.get(package), "__file__", None)
    return Path(file).parent if file else Path(package)


def _path_of(name: str, root: Path) -> Path | None:
    base = root.joinpath(*name.split(".")[1:])
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return path
    return None


def _is_package(name: str, root: Path) -> bool:
    return (
        name.partition(".")[0] == root.name and root.joinpath(*name.split(".")[1:], "__init__.py").is_file()
    )


def _package_data(root: Path, module: Path | None) -> dict[str, str]:
    """Digests of the files beside a module that are no code: templates, word lists."""
    if module is None or module.parent == root:
        return {}
    found = {}
    for path in _data_below(module.parent):
        found[_label(path, root)] = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    return found


def _data_below(folder: Path) -> list[Path]:
    found: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "__pycache__")):
            continue
        if path.is_dir() and not (path / "__init__.py").is_file():
            found += _data_below(path)
        elif path.is_file() and path.suffix not in NO_DATA:
            found.append(path)
    return found


def _label(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _digest_of_source(function: Any) -> str:
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        source = repr(function)
    return hashlib.sha256(source.encode()).hexdigest()[:32]
