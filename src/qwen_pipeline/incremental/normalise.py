"""Source code without what cannot change a result: comments, docstrings, formatting, logging, type-only imports."""

import ast

LOGGERS = {"log", "logger", "logging", "_logger"}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log", "setLevel"}
VALIDATORS = {"field_validator", "model_validator", "validator", "root_validator"}


class Normaliser(ast.NodeTransformer):
    """Drops statements that cannot change a result.

    Args:
        fields_count: Whether annotated fields of classes count. In parameter models they don't: their
            values are compared instead, so a new description, limit or default reruns nothing.
    """

    def __init__(self, fields_count: bool = True) -> None:
        self._fields_count = fields_count

    def visit_Module(self, node: ast.Module) -> ast.Module:
        """A module's statements."""
        node.body = self._kept(node.body)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        """A class; in a parameter model only methods and properties count."""
        if not self._fields_count:
            node.body = [one for one in node.body if _is_behaviour(one)]
        self.generic_visit(node)
        node.body = self._kept(node.body) or [ast.Pass()]
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Any other node; emptied blocks get a ``pass``."""
        super().generic_visit(node)
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                kept = [one for one in block if not _is_idle(one)]
                setattr(node, name, kept or ([ast.Pass()] if name == "body" else []))
        return node

    def _kept(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        kept = []
        for one in statements:
            if not _is_idle(one):
                self.visit(one)
                kept.append(one)
        return kept


def reachable(tree: ast.Module, function: str) -> ast.Module:
    """The part of a module that a function can reach: its own names, and what they name in turn.

    Statements that name nothing (``if``, ``for``, calls) always count. A module that looks itself up by
    strings counts whole.
    """
    if {"globals", "eval", "exec", "__import__", "vars"} & _names(tree):
        return tree
    defined: dict[str, list[ast.stmt]] = {}
    needed: list[ast.stmt] = []
    for statement in tree.body:
        names = _defined_by(statement)
        for name in names:
            defined.setdefault(name, []).append(statement)
        if not names:
            needed.append(statement)
    if function not in defined:
        return tree
    waiting, seen = [function, *(name for one in needed for name in _names(one))], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for statement in defined.get(name, []):
            needed.append(statement)
            waiting += _names(statement)
    kept = [_without_aliases(one, seen) for one in tree.body if one in needed]
    return ast.Module(kept, [])


def _defined_by(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).partition(".")[0] for alias in statement.names]
    if isinstance(statement, ast.Assign):
        names = [target.id for target in statement.targets if isinstance(target, ast.Name)]
        return names if len(names) == len(statement.targets) else []
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return [statement.target.id]
    return []


def _names(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _without_aliases(statement: ast.stmt, used: set[str]) -> ast.stmt:
    if isinstance(statement, ast.Import):
        return ast.Import([a for a in statement.names if (a.asname or a.name).partition(".")[0] in used])
    if isinstance(statement, ast.ImportFrom):
        kept = [a for a in statement.names if (a.asname or a.name) in used or a.name == "*"]
        return ast.ImportFrom(statement.module, kept, statement.level)
    return statement


def _is_behaviour(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.FunctionDef):
        return False
    return not any(_names(one) & VALIDATORS for one in statement.decorator_list)


def _is_idle(statement: ast.stmt) -> bool:
    """Whether a statement cannot change a result: a string, logging, an import for type checkers."""
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant) or _is_logging(statement.value)
    if isinstance(statement, ast.Import):
        return all(alias.name == "logging" for alias in statement.names)
    if isinstance(statement, ast.Assign):
        named = all(isinstance(t, ast.Name) and t.id in LOGGERS for t in statement.targets)
        return named and _makes_logger(statement.value)  # `log = x * 2` is a figure
    if isinstance(statement, ast.If):
        test = statement.test
        name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
        return name == "TYPE_CHECKING" and not statement.orelse
    return False


def _makes_logger(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and ast.unparse(value.func) in ("logging.getLogger", "getLogger")


def _is_logging(value: ast.expr) -> bool:
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and isinstance(value.func.value, ast.Name)
        and value.func.value.id in LOGGERS
        and value.func.attr in LEVELS
    )
