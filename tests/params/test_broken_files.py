"""A configuration file that cannot be read is named, with its line and what to do."""

from pathlib import Path

import pytest

from qwen_pipeline.config_loader import ProjectConfigLoader
from qwen_pipeline.errors import ParameterError


def load(conf: Path) -> dict[str, object]:
    return ProjectConfigLoader(str(conf), base_env="base", default_run_env="local")["parameters"]


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    for name in ("base", "local"):
        (tmp_path / "conf" / name).mkdir(parents=True)
    (tmp_path / "conf/base/parameters.yml").write_text("batch_size: 2\n")
    return tmp_path / "conf"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("batch_size: 1\n# 批大小\n".encode("gbk"), "conf/local/parameters.yml, line 2: not UTF-8"),
        ("batch_size: 1\n".encode("utf-16"), "conf/local/parameters.yml, line 1: not UTF-8"),
        (b"batch_size: 2\n a: b\n  - x\n", "conf/local/parameters.yml, line 2: "),
        (
            b"batch_size: 2\nbatch_size: 3\n",
            "conf/local/parameters.yml, line 2: found duplicate key batch_size",
        ),
        (b"- batch_size: 2\n- num_epochs: 1\n", "conf/local/parameters.yml: a list, "),
        (b"5\n", "conf/local/parameters.yml: no names"),
    ],
)
def test_the_file_and_the_line_are_named(conf: Path, content: bytes, told: str) -> None:
    (conf / "local/parameters.yml").write_bytes(content)
    with pytest.raises(ParameterError) as caught:
        load(conf)
    assert str(caught.value).startswith(told)
    assert "conf/local/parameters.yml > new.yml" in str(caught.value) or "NAME: VALUE" in str(caught.value)


def test_a_file_with_bytes_that_are_no_text_is_named(conf: Path) -> None:
    (conf / "local/parameters.yml").write_bytes(b"batch_size: 1\x00\n")
    with pytest.raises(
        ParameterError, match=r"^conf/local/parameters.yml: unacceptable character.*in UTF-8\.$"
    ):
        load(conf)


@pytest.mark.parametrize("content", ["- adapter\n", "adapter: [1\n"])
def test_a_broken_catalog_is_named_too(conf: Path, content: str) -> None:
    (conf / "base/catalog.yml").write_text("adapter: {type: json.JSONDataset, filepath: a.json}\n")
    (conf / "local/catalog.yml").write_text(content)
    with pytest.raises(ParameterError, match=r"^conf/local/catalog\.yml"):
        ProjectConfigLoader(str(conf), base_env="base", default_run_env="local")["catalog"]


def test_one_key_in_two_files_of_an_environment_names_both(conf: Path) -> None:
    (conf / "local/parameters.yml").write_text("batch_size: 1\n")
    (conf / "local/parameters_train.yml").write_text("batch_size: 2\n")
    with pytest.raises(ParameterError, match=r"in conf/local/\w+\.yml and conf/local/\w+\.yml: batch_size"):
        load(conf)


def test_a_file_saved_with_a_mark_at_its_beginning_is_read(conf: Path) -> None:
    (conf / "local/parameters.yml").write_bytes("batch_size: 1\n".encode("utf-8-sig"))
    assert load(conf)["train"]["batch_size"] == 1  # type: ignore[index]
