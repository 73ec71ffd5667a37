"""Setting up with make, wherever the project lies and whatever pip was told: .venv is a stand-in that notes what it is asked."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PYTHON = """#!/bin/sh
case "$*" in
  *"config get global.index-url") cat mirror 2>/dev/null ;;
  *"pip --version") test ! -e no-pip ;;
  *"pip install"*) echo "$*" >> asked-of-pip; case "$*" in *--no-deps*) test ! -e pip-fails ;; esac ;;
esac
"""
UV = """#!/bin/sh
echo "$UV_DEFAULT_INDEX|$*" >> asked
test ! -e uv-fails
"""
MIRROR = "https://mirror.test/simple"

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed here")


def make_project(folder: Path, made_at: Path | None = None) -> Path:
    """The Makefile, what it looks at, and a set-up .venv that says it was made at ``made_at``."""
    programs = folder / ".venv/bin"
    programs.mkdir(parents=True)
    for name in ("Makefile", "requirements.lock", "requirements-torch.txt", "pyproject.toml"):
        shutil.copyfile(ROOT / name, folder / name)
    for name, text in (("python", PYTHON), ("uv", UV)):
        (programs / name).write_text(text, encoding="utf-8")
        (programs / name).chmod(0o755)
    config = f"command = /usr/bin/python3 -m venv {made_at or folder}/.venv\n"
    (folder / ".venv/pyvenv.cfg").write_text(config, encoding="utf-8")
    (folder / ".venv/.ready").touch()
    return folder


def run_make(folder: Path, *words: str, **variables: str) -> str:
    """What make prints; a word ``PYTHON=…`` is taken before that of the tests."""
    silent = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "MAKE"))
    }
    done = subprocess.run(
        ["make", f"PYTHON={sys.executable}", *words],
        cwd=folder, env=silent | variables, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def asked_of_uv(folder: Path, **variables: str) -> list[tuple[str, str]]:
    """Index and command of each call of uv in ``make setup``."""
    run_make(folder, "setup", **variables)
    return [
        (index, command)
        for index, _, command in (line.partition("|") for line in (folder / "asked").read_text().splitlines())
    ]


@pytest.mark.parametrize("name", ["my project", "我的项目", "it's 50%", "-x", "a,b(c)"])
def test_setup_works_in_a_folder_of_any_name(tmp_path, name):
    asked = asked_of_uv(make_project(tmp_path / name))
    assert [command.split()[-1] for _, command in asked] == ["requirements.lock", "."]
    assert all("--python .venv " in command for _, command in asked)


def test_uv_installs_from_the_mirror_in_pips_own_configuration(tmp_path):
    project = make_project(tmp_path / "project")
    (project / "mirror").write_text(f"{MIRROR}\n")
    assert {index for index, _ in asked_of_uv(project)} == {MIRROR}


@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"])
def test_an_index_named_in_the_environment_comes_before_that_of_pips_configuration(tmp_path, name):
    project = make_project(tmp_path / "project")
    (project / "mirror").write_text("https://other.test/simple\n")
    assert {index for index, _ in asked_of_uv(project, **{name: MIRROR})} == {MIRROR}


def test_what_uv_cannot_fetch_is_left_to_pip_with_the_same_words(tmp_path):
    project = make_project(tmp_path / "project")
    (project / "uv-fails").touch()
    printed = run_make(project, "setup")
    tools, *packages = (project / "asked-of-pip").read_text().splitlines()
    assert tools.endswith("-r requirements-torch.txt uv")
    assert [words.split("check ")[1] for words in packages] == [
        "--no-deps --require-hashes -r requirements.lock",
        "--no-deps --editable .",
    ]
    assert "pip tries" in printed


def test_setup_that_neither_can_do_is_not_called_done(tmp_path):
    project = make_project(tmp_path / "project")
    for name in ("uv-fails", "pip-fails"):
        (project / name).touch()
    (project / ".venv/.ready").unlink()
    with pytest.raises(subprocess.CalledProcessError):
        run_make(project, "setup")
    assert not (project / ".venv/.ready").exists()


def test_where_the_project_was_moved_the_environment_is_made_again(tmp_path):
    moved = make_project(tmp_path / "new place", made_at=tmp_path / "old place")
    assert "-m venv --clear .venv" in run_make(moved, "-n", "run")


def test_where_it_was_made_and_through_a_link_the_environment_stays(tmp_path):
    project = make_project(tmp_path / "a place")
    assert run_make(project, "-n", "run") == ".venv/bin/kedro run\n"
    other = make_project(tmp_path / "other")
    shutil.rmtree(other / ".venv")
    (other / ".venv").symlink_to(project / ".venv")
    (other / ".venv/.ready").touch()
    assert run_make(other, "-n", "run") == ".venv/bin/kedro run\n"


def test_setup_asked_for_by_its_name_puts_changed_packages_right(tmp_path):
    asked = asked_of_uv(make_project(tmp_path / "project"))  # it was ready already
    assert asked


def test_an_environment_that_was_left_without_pip_is_made_again(tmp_path):
    project = make_project(tmp_path / "project")
    (project / "no-pip").touch()
    (project / "made").write_text(
        '#!/bin/sh\ncase "$*" in *venv*) echo "$@" >> asked; rm -f no-pip ;; esac\n'
    )
    (project / "made").chmod(0o755)
    run_make(project, "setup", f"PYTHON={project}/made")
    assert (project / "asked").read_text().splitlines()[0] == "-m venv --clear .venv"


@pytest.mark.parametrize("version", ["(3, 9)", "(3, 15)"])
def test_a_python_that_the_pinned_packages_are_not_built_for_is_refused_in_one_sentence(tmp_path, version):
    project = make_project(tmp_path / "project")
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\n[ "$1" = -c ] && exec {sys.executable} -c "import sys; sys.version_info = {version}; $2"\nexit 9\n'
    )
    python.chmod(0o755)
    with pytest.raises(subprocess.CalledProcessError) as refused:
        run_make(project, "setup", f"PYTHON={python}")
    assert refused.value.stderr.startswith("Python 3.11 to 3.14 is needed")
    assert not (project / "asked").exists()
