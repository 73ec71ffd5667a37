"""Run every check of the folder `checks/`, all at once; a check that breaks is itself a finding."""

import importlib
import pkgutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

from qwen_pipeline.doctor import checks
from qwen_pipeline.doctor.finding import Finding, Inspection, State, error

EXIT_CODES = {State.OK: 0, State.WARNING: 0, State.ERROR: 1}


def discover_checks() -> list[ModuleType]:
    """The check modules, in the order that they give themselves."""
    names = [module.name for module in pkgutil.iter_modules(checks.__path__)]
    modules = [importlib.import_module(f"{checks.__name__}.{name}") for name in names]
    return sorted(modules, key=lambda module: module.ORDER)


def examine(inspection: Inspection) -> Iterator[Finding]:
    """Yield the findings of all checks in their order; those that wait for a process or a server wait together."""
    modules = discover_checks()
    with ThreadPoolExecutor(max_workers=len(modules)) as pool:
        for running in [pool.submit(_findings_of, module, inspection) for module in modules]:
            yield from running.result()


def _findings_of(module: ModuleType, inspection: Inspection) -> list[Finding]:
    try:
        return list(module.check(inspection))
    except Exception as failure:  # a broken check must not hide the others
        name = module.__name__.rpartition(".")[2]
        fact = f"the check itself failed: {type(failure).__name__}: {failure}"
        return [error(name, fact, "report this with: kedro doctor --report support.json")]


def exit_code(findings: list[Finding]) -> int:
    """0 when a run can go on, 1 when at least one finding is an error."""
    return max((EXIT_CODES[finding.state] for finding in findings), default=0)
