"""The commands on this project itself, up to its clean stage, which needs no model."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from end_to_end.project import copy_project

DRIVER = Path(__file__).with_name("driver.py")
HEAVY = {"torch", "transformers", "mlflow", "datasets", "pandas"}
IMPORTS = """
import sys
sys.argv = ["kedro", *sys.argv[1:]]
from kedro.framework.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("IMPORTED", sorted(name for name in sys.modules if "." not in name))
"""


class Project:
    """A copy of this project whose clean stage is done."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def kedro(self, *commands: str) -> list[str]:
        """Run commands in one process; what each wrote. All must succeed."""
        done = self.attempt(*commands)
        for command, one in zip(commands, done, strict=True):
            assert one["code"] in (0, None), f"{command}: {one['output']}"
        return [str(one["output"]) for one in done]

    def attempt(self, *commands: str, folder: str = ".") -> list[dict[str, object]]:
        """Run commands in one process, given in a folder of the project; exit code and output of each."""
        done = subprocess.run(
            [sys.executable, str(DRIVER)],
            input=json.dumps([command.split() for command in commands]),
            cwd=self.path / folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found: list[dict[str, object]] = json.loads(done.stdout.splitlines()[-1])
        return found

    def environment(self) -> dict[str, str]:
        """Variables of a shell in the project."""
        kept = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        return {**kept, "PYTHONPATH": str(self.path / "src"), "COLUMNS": "250", "DO_NOT_TRACK": "1"}

    def versions(self, layer: str, name: str) -> list[str]:
        """Versions of a dataset."""
        return sorted(path.name for path in (self.path / "data" / layer / name).glob("2*"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(copy_project(tmp_path_factory.mktemp("commands") / "project"))
    made.kedro("run --pipeline clean")
    return made


def test_status_tells_state_reason_version_and_time(project: Project) -> None:
    text, plain = project.kedro("status", "status --json --params min_answer_characters=3")
    assert "ingest    current" in text
    assert "train     stale" in text
    assert "it has not run yet" in text
    rows = {row["node"]: row for row in json.loads(plain)}
    assert rows["ingest.ingest_files"]["state"] == "current"
    clean = rows["clean.clean_examples"]
    assert clean["state"] == "stale"
    assert clean["reason"].startswith("`clean.min_answer_characters`")
    assert clean["changes"][0]["new"] == 3
    assert clean["version"] == project.versions("03_primary", "clean_examples.parquet")[-1]
    assert clean["finished"].startswith("20")
    assert rows["clean.draw_data_page"]["next"] == "may run"
    assert rows["train.train_adapter"]["stage"] == "train"


def test_a_version_that_is_not_there_is_refused_with_those_that_are(project: Project) -> None:
    version = project.versions("03_primary", "clean_examples.parquet")[-1]
    refused, taken = project.attempt(
        "run --pipeline clean --load-versions clean_examples:2020",
        f"run --pipeline clean --dry-run --load-versions clean_examples:{version}",
    )
    assert refused["code"] == 1
    assert f"clean_examples has no version 2020; there are {version}" in str(refused["output"])
    assert "Traceback" not in str(refused["output"])
    assert taken["code"] in (0, None)


def test_a_second_run_runs_nothing_and_flags_of_kedro_choose_nodes(project: Project) -> None:
    before = project.versions("03_primary", "clean_examples.parquet")
    whole, tags, nodes, to_nodes, inputs, namespaces = project.kedro(
        "run --pipeline clean",
        "run --tags ingest --dry-run --force",
        "run --nodes clean.draw_data_page --dry-run --force",
        "run --to-nodes ingest.ingest_files --dry-run --force ingest",
        "run --to-outputs clean_examples --dry-run --force",
        "run --namespaces clean --dry-run --force clean",
    )
    assert "clean.clean_examples: current" in whole
    assert project.versions("03_primary", "clean_examples.parquet") == before
    assert "ingest.ingest_files: would run: it was forced" in tags
    assert "clean" not in tags
    assert "draw_data_page: would run" in nodes
    assert "clean_examples" not in nodes
    assert "ingest.ingest_files: would run" in to_nodes
    assert "clean" not in to_nodes
    assert "clean.clean_examples: would run" in inputs
    assert "draw_data_page" not in inputs
    assert "ingest_files" not in namespaces
    assert "clean.draw_data_page: would run" in namespaces


def test_a_slice_on_stale_input_says_so(project: Project) -> None:
    (told,) = project.kedro(
        "run --from-nodes clean.draw_data_page --to-nodes clean.draw_data_page --params min_answer_characters=2"
    )
    assert "clean.clean_examples is stale (`clean.min_answer_characters`" in told
    assert "this run leaves it as it is" in told
    assert "draw_data_page: current" in told


def test_a_forced_slice_calls_only_stale_input_stale(project: Project) -> None:
    fresh, stale = project.kedro(
        "run --tags clean --force",
        "run --tags clean --force --params encoding=gb18030,min_answer_characters=1",
    )
    assert "clean.clean_examples: running, because it was forced" in fresh
    assert "is stale" not in fresh
    assert "ingest.ingest_files is stale (`ingest.encoding`" in stale


def test_local_settings_and_other_environments_count_and_going_back_computes_nothing(
    project: Project,
) -> None:
    local, other = project.path / "conf/local/parameters.yml", project.path / "conf/other/parameters.yml"
    other.parent.mkdir()
    other.write_text("min_answer_characters: 4\n")
    local.write_text("min_answer_characters: 5\n")
    overridden, switched = project.kedro("run --pipeline clean --dry-run", "run --pipeline clean --env other")
    assert "`clean.min_answer_characters`" in overridden
    assert "→ 5" in overridden
    assert "→ 4" in switched
    assert "clean_examples: done" in switched
    local.unlink()
    (back,) = project.kedro("run --pipeline clean")
    assert "taken back, because `clean.min_answer_characters` 4 →" in back
    assert "done in" not in back


def test_a_pinned_version_and_another_runner_work_as_in_kedro(project: Project) -> None:
    first = project.versions("02_intermediate", "ingested_examples.parquet")[0]
    before = len(project.versions("02_intermediate", "ingested_examples.parquet"))
    pinned, plain, after = project.kedro(
        f"run --pipeline clean --load-versions ingested_examples:{first}",
        "run --pipeline ingest --runner SequentialRunner",
        "run --pipeline clean",
    )
    assert "clean.clean_examples: current" in pinned
    assert "ingest_files: current" not in plain
    assert len(project.versions("02_intermediate", "ingested_examples.parquet")) == before + 1
    assert "ingest.ingest_files: current" in after  # what Kedro's own runner made is equal: nothing to do
    assert "clean.clean_examples: current" in after


def test_a_mistake_is_one_sentence(project: Project) -> None:
    forced, accepted, kept = project.attempt("run --force trian", "accept trian", "prune --keep 0")
    for one, told in ((forced, "--force trian"), (accepted, "no stage trian")):
        assert one["code"] == 1
        assert told in str(one["output"])
        assert "Traceback" not in str(one["output"])
    assert kept["code"] == 2


def test_in_a_subfolder_the_commands_find_the_project_its_samples_and_its_store(project: Project) -> None:
    (project.path / "notebooks").mkdir()
    status, compare = project.attempt("status --json", "compare latest~1 latest", folder="notebooks")
    rows = {row["node"]: row for row in json.loads(str(status["output"]))}
    assert rows["ingest.ingest_files"]["state"] == "current"
    assert compare["code"] == 1
    assert "Traceback" not in str(compare["output"])
    assert list((project.path / "notebooks").iterdir()) == []


def test_accept_and_prune_on_the_command_line(project: Project) -> None:
    project.kedro("run --pipeline clean --force")
    code = project.path / "src/qwen_pipeline/text/clean_table.py"
    code.write_text(code.read_text(encoding="utf-8") + "\n\nNEW = 1\n", encoding="utf-8")
    stale, _, accepted, current, shown, pruned, again = project.kedro(
        "run --pipeline clean --dry-run",
        "accept ingest",
        "accept clean",
        "run --pipeline clean --dry-run",
        "prune --keep 1 --dry-run",
        "prune --keep 1",
        "prune --keep 1 --json",
    )
    assert "code of `text/clean_table.py` changed" in stale
    assert "clean.clean_examples: accepted although code of `text/clean_table.py` changed" in accepted
    assert "clean.clean_examples: current" in current
    assert "clean_examples" in shown
    assert "to free" in shown
    assert "freed" in pruned
    assert json.loads(again) == {"removals": [], "freed_bytes": 0}
    assert len(set(re.findall(r"(\S+): current", project.kedro("run --pipeline clean")[0]))) == 3


@pytest.mark.parametrize("command", [["status"], ["run", "--pipeline", "clean"]])
def test_looking_and_doing_nothing_import_nothing_heavy(project: Project, command: list[str]) -> None:
    project.kedro("run --pipeline clean")
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, *command],
        cwd=project.path,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    imported = done.stdout.rpartition("IMPORTED")[2]
    assert "kedro" in imported
    assert not {name for name in HEAVY if f"'{name}'" in imported}


def test_kedro_viz_gets_the_status_of_skipped_nodes_too(project: Project) -> None:
    """The events that Kedro-Viz reads after a run in which nothing was to do."""
    from kedro_viz.integrations.kedro.hooks_utils import is_sequential_runner

    from qwen_pipeline.incremental.runner import IncrementalRunner
    from qwen_pipeline.incremental.viz_events import note_skipped

    assert is_sequential_runner({"runner": str(IncrementalRunner())})
    from kedro.pipeline import node
    from kedro_viz.integrations.kedro.run_hooks import PipelineRunStatusHook

    hook = PipelineRunStatusHook()
    hook._should_collect_events, hook._datasets = True, {}

    class Manager:
        """Hooks of a run."""

        def get_plugins(self) -> list[object]:
            return [object(), hook]

    one = node(len, "texts", "count", name="count")
    note_skipped(Manager(), one, 1.5)
    done = [event for event in hook._events if event["event"] == "after_node_run"]
    assert [(event["node"], event["duration"], event["status"]) for event in done] == [
        ("count", 1.5, "success")
    ]
    assert {event["dataset"] for event in hook._events if "dataset" in event} == {"texts", "count"}
