"""Incremental runs: which stages each tool runs for the same change, and what it costs.

Usage: python benchmarks/bench_incremental.py changes [DVC]   (DVC: path of its command; left out without it)
       python benchmarks/bench_incremental.py digests [GiB]
       python benchmarks/bench_incremental.py overhead PROJECT  (a project folder; its pipeline is run, forced)
       python benchmarks/bench_incremental.py idle PROJECT      (a project that has run)
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]
STAGES = ("read", "refine", "report")

STAGE_SCRIPT = """
import json, sys
from pathlib import Path
from types import SimpleNamespace
import yaml
stage, package = sys.argv[1:]
sys.path.insert(0, "src")
nodes = __import__(f"{package}.nodes", fromlist=["nodes"])
values = yaml.safe_load(Path("params.yaml").read_text())[stage]
load = lambda name: json.loads(Path(f"made/{name}.json").read_text())
inputs = {
    "read": lambda: {p.name: p.read_bytes for p in sorted(Path("data/01_raw").iterdir())},
    "refine": lambda: load("texts"),
    "report": lambda: load("refined"),
}[stage]()
made = getattr(nodes, stage)(inputs, values if stage == "report" else SimpleNamespace(**values))
outputs = {"read": ["texts", "account"], "refine": ["refined", "pace"], "report": ["summary"]}[stage]
Path("made").mkdir(exist_ok=True)
for name, value in zip(outputs, made if stage != "report" else [made]):
    Path(f"made/{name}.json").write_text(json.dumps(value))
"""


def edits(toy: Any, made: Callable[[str], Path]) -> list[tuple[str, Callable[[], None], tuple[str, ...]]]:
    """Changes one after the other, with the stages whose results they can change."""

    def flip() -> None:
        path = made("refined")
        before, content = path.stat(), path.read_bytes()
        path.write_bytes(content.replace(b"eta", b"eto"))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        toy.values["report"]["title"] = "after the damage"

    def value(stage: str, name: str, new: Any) -> Callable[[], None]:
        return lambda: toy.values[stage].__setitem__(name, new)

    lower, upper = "text.lower()", "text.upper()"
    return [
        ("nothing", lambda: None, ()),
        ("raw file touched", lambda: (toy.root / "data/01_raw/a.txt").touch(), ()),
        ("raw file changed", lambda: toy.write("raw a.txt", "Gamma ") and None, STAGES),
        ("comment in a helper's helper", lambda: toy.edit("deeper.py", "def lower", "# why\ndef lower"), ()),
        ("docstring", lambda: toy.edit("helper.py", '"""Help."""', '"""Helps."""'), ()),
        ("code of a helper's helper", lambda: toy.edit("deeper.py", lower, upper), ("refine", "report")),
        ("that code back (A, B, A)", lambda: toy.edit("deeper.py", upper, lower), ()),
        ("refactoring, equal output", lambda: toy.edit("deeper.py", lower, "str.lower(text)"), ("refine",)),
        (
            "one node of a shared module",
            lambda: toy.edit("nodes.py", "len(refined)", "0 + len(refined)"),
            ("report",),
        ),
        ("unrelated module", lambda: toy.edit("unrelated.py", "return 1", "return 2"), ()),
        ("parameter of the middle stage", value("refine", "ending", "!"), ("refine", "report")),
        ("run-time parameter", value("read", "workers", 4), ()),
        (
            "new format adapter",
            lambda: toy.code("formats/csv.py", "def read(data):\n    return data\n"),
            ("read",),
        ),
        ("output deleted", lambda: made("summary").unlink(), ("report",)),
        ("output damaged, size and time kept", flip, ("refine", "report")),
    ]


def run_ours(toy: Any) -> list[str]:
    return list(toy.run())


def run_missing(toy: Any) -> list[str]:
    """Kedro's own `--only-missing-outputs`."""
    from kedro.framework.hooks.manager import _NullPluginManager
    from kedro.runner import SequentialRunner

    toy.forget()
    pipeline = toy.pipeline()
    calls = toy._module("nodes").calls
    calls.clear()
    SequentialRunner().run(pipeline, toy.catalog(), _NullPluginManager(), only_missing_outputs=True)
    return list(calls)


def run_dvc(toy: Any, dvc: str) -> list[str]:
    defaults = {"read": {"longest": 100, "workers": 1}, "refine": {"ending": "."}, "report": {"title": "t"}}
    values = {stage: {**defaults[stage], **toy.values[stage]} for stage in STAGES}
    (toy.root / "params.yaml").write_text(json.dumps(values))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [dvc, "repro"], cwd=toy.root, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return [stage for stage in STAGES if f"Running stage '{stage}'" in done.stdout]


def prepare_dvc(toy: Any, dvc: str) -> None:
    """Stages as a careful user declares them: every file by hand, only the values that matter."""
    source, package = f"src/{toy.package}", toy.package
    needs = {
        "read": ["data/01_raw", f"{source}/nodes.py", f"{source}/formats", f"{source}/settings.py"],
        "refine": ["made/texts.json", *(f"{source}/{name}.py" for name in ("nodes", "helper", "deeper"))],
        "report": ["made/refined.json", f"{source}/nodes.py"],
    }
    makes = {"read": ["texts", "account"], "refine": ["refined", "pace"], "report": ["summary"]}
    params = {"read": ["read.longest"], "refine": ["refine"], "report": ["report"]}
    stages = {
        stage: {
            "cmd": f"{sys.executable} stage.py {stage} {package}",
            "deps": needs[stage],
            "params": params[stage],
            "outs": [f"made/{name}.json" for name in makes[stage]],
        }
        for stage in STAGES
    }
    (toy.root / "stage.py").write_text(STAGE_SCRIPT)
    (toy.root / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    subprocess.run([dvc, "init", "--no-scm", "-q"], cwd=toy.root, check=True)
    subprocess.run([dvc, "config", "core.analytics", "false"], cwd=toy.root, check=True)


def _dvc_output(root: Path, name: str) -> Path:
    return root / "made" / f"{name}.json"


def compare_changes(dvc: str | None) -> dict[str, Any]:
    from incremental.toy import Toy

    tools: dict[str, Callable[[Any], list[str]]] = {
        "this project": run_ours,
        "only-missing-outputs": run_missing,
    }
    if dvc:
        tools["DVC"] = lambda toy: run_dvc(toy, dvc)
    table: dict[str, dict[str, Any]] = {}
    for tool, run in tools.items():
        with tempfile.TemporaryDirectory() as folder:
            toy = Toy(Path(folder) / "project")
            os.chdir(toy.root)
            sys.path.insert(0, str(toy.root / "src"))
            made = toy.file
            if tool == "DVC" and dvc:
                prepare_dvc(toy, dvc)
                made = partial(_dvc_output, toy.root)
            run(toy)
            for name, edit, right in edits(toy, made):
                edit()
                start = time.perf_counter()
                ran = run(toy)
                seconds = round(time.perf_counter() - start, 3)
                found = [json.loads(made(output).read_bytes()) for output in ("refined", "summary")]
                truth = table.setdefault(name, {"should run": list(right), "outputs": found})["outputs"]
                verdict = "wrong" if found != truth else "too much" if set(ran) - set(right) else "right"
                table[name][tool] = {
                    "ran": ran,
                    "verdict": verdict,
                    "seconds": seconds,
                }
            os.chdir(ROOT)
    return table


def time_digests(gib: float) -> dict[str, Any]:
    from qwen_pipeline.incremental.content import FileDigests

    with tempfile.TemporaryDirectory() as folder:
        path, size = Path(folder) / "data.bin", int(gib * 2**30)
        block = os.urandom(1 << 24)
        with path.open("wb") as stream:
            for _ in range(size // len(block)):
                stream.write(block)
        path.read_bytes()
        os.utime(path, (1, 1))
        first, again = [], []
        for number in range(5):
            digests = FileDigests(Path(folder) / f"{number}.json")
            time.sleep(0.1)
            start = time.perf_counter()
            digests.of(path)
            first.append(size / 1e9 / (time.perf_counter() - start))
            start = time.perf_counter()
            digests.of(path)
            again.append(time.perf_counter() - start)
    return {
        "gib": gib,
        "first_gb_per_second": [round(one, 2) for one in first],
        "median_gb_per_second": round(statistics.median(first), 2),
        "again_microseconds": round(statistics.median(again) * 1e6),
    }


def time_idle(project: Path) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": str(project / "src")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    commands = {"status": ["status"], "run": ["run"], "import kedro only": ["--version"]}
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(6):
        for name, arguments in commands.items():
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-m", "kedro", *arguments],
                cwd=project, env=environment, capture_output=True, text=True, check=True,
            )  # fmt: skip
            found[name].append(round(time.perf_counter() - start, 2))
            assert "running, because" not in done.stdout, "the project is not finished"
    return {
        name: {"seconds": all_[1:], "median": statistics.median(all_[1:])} for name, all_ in found.items()
    }


def measure_overhead(project: Path) -> dict[str, Any]:
    """Share of a forced run that goes into digests, seals, flushes and records."""
    os.chdir(project)
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(project)
    from qwen_pipeline.cli import cli
    from qwen_pipeline.datasets import versioned
    from qwen_pipeline.incremental import commit, plan, runner

    spent: dict[str, float] = {}

    def timed(owner: Any, name: str) -> None:
        function = getattr(owner, name)

        def call(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                spent[name] = spent.get(name, 0.0) + time.perf_counter() - start

        setattr(owner, name, call)

    for owner, name in (
        (versioned, "make_seal"), (versioned, "write_seal"), (versioned, "flush_tree"), (versioned, "damage_of"),
        (plan.Planner, "decide"), (plan.Planner, "read_code"), (runner, "commit_outputs"),
    ):  # fmt: skip
        timed(owner, name)
    assert commit
    start = time.perf_counter()
    cli.main(["run", "--force", "--yes"], standalone_mode=False)
    whole = time.perf_counter() - start
    parts = {name: round(seconds, 3) for name, seconds in spent.items()}
    return {
        "run_seconds": round(whole, 1),
        "overhead_seconds": parts,
        "share": round(sum(spent.values()) / whole, 4),
    }


def main() -> None:
    what, *rest = sys.argv[1:] or ["changes"]
    actions: dict[str, Callable[[], dict[str, Any]]] = {
        "changes": lambda: compare_changes(rest[0] if rest else None),
        "digests": lambda: time_digests(float(rest[0]) if rest else 1.0),
        "overhead": lambda: measure_overhead(Path(rest[0]).resolve()),
        "idle": lambda: time_idle(Path(rest[0]).resolve()),
    }
    print(json.dumps(actions[what](), indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
