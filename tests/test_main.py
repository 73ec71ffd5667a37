"""The guide's flags: one for each parameter, handed on as typed values."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from qwen_pipeline.params.groups import parameter_names


@pytest.fixture(scope="module")
def main(project_dir: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location("guide_main", project_dir / "main.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def parse(main: ModuleType, *flags: str) -> dict[str, object]:
    parameters = main.read_parameters(main.build_parser().parse_args(list(flags)))
    assert isinstance(parameters, dict)
    return parameters


def test_every_parameter_has_a_flag(main: ModuleType) -> None:
    known = {option for action in main.build_parser()._actions for option in action.option_strings}
    assert {f"--{name.replace('_', '-')}" for name in parameter_names()} <= known


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (
            ["--batch-size", "1", "--gradient-accumulation-steps", "64"],
            {"batch_size": 1, "gradient_accumulation_steps": 64},
        ),
        (["--max-memory-gb", "8"], {"max_memory_gb": 8}),
        (["--model-name", "./Qwen3-4B-Thinking-2507"], {"model_name": "./Qwen3-4B-Thinking-2507"}),
        (["--log-level", "DEBUG"], {"log_level": "DEBUG"}),
        (["--num-epochs", "1", "--max-sequence-length", "64"], {"num_epochs": 1, "max_sequence_length": 64}),
        (["--gradient-checkpointing"], {"gradient_checkpointing": True}),
        (["--bf16", "false"], {"bf16": False}),
        (["--generation-config", "{temperature: 0.7}"], {"generation_config": {"temperature": 0.7}}),
        (["--data-dir", "2024_01"], {"data_dir": "2024_01"}),
        (["--data-dir", "#1 faq"], {"data_dir": "#1 faq"}),
        (["--data-dir", "@home"], {"data_dir": "@home"}),
        (["--encoding", "1252", "--model-revision", "null"], {"encoding": "1252", "model_revision": None}),
        (["--eval-strategy", "no"], {"eval_strategy": "no"}),
    ],
)
def test_the_guides_flags_become_typed_values(
    main: ModuleType, flags: list[str], expected: dict[str, object]
) -> None:
    assert parse(main, *flags) == expected


def test_the_guides_data_directory_means_the_default(
    main: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse(main, "--data-dir", "data/raw") == {"data_dir": "data/01_raw"}
    (tmp_path / "data/raw").mkdir(parents=True)
    assert parse(main, "--data-dir", "data/raw") == {"data_dir": "data/raw"}


def test_the_guides_json_is_read_and_a_flag_stands_above_it(main: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"batch_size": 8, "lora_r": 4}', encoding="utf-8-sig")
    assert parse(main, "--config", str(path), "--batch-size", "1") == {"batch_size": 1, "lora_r": 4}


@pytest.mark.parametrize(
    "content", [None, b"{not json", b"[1, 2]", b"null", '{"data_dir": "数据"}'.encode("gbk")]
)
def test_a_config_that_cannot_be_read_is_one_sentence(
    main: ModuleType, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "config.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        SystemExit, match=r'^--config .*\. Name a JSON file of names and values, as in {"batch_size": 1}\.$'
    ):
        parse(main, "--config", str(path))


def test_a_misspelt_flag_names_the_nearest(main: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(["--batch-sise", "1"])
    assert "--batch-size" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--lora-rank", "8"], "It is --lora-r here."),
        (["--per_device_train_batch_size=1"], "It is --batch-size here."),
        (["--lr", "1e-4"], "It is --learning-rate here."),
        (["--temperature", "1"], 'It is --generation-config "{temperature: VALUE}" here.'),
        (["--report-to", "none"], "Leave report_to out."),
        (["--params", "batch_size=1"], "as in --batch-size 1."),
        (["train"], "Did you mean --pipeline train?"),
        (["--batch-size"], "expected one argument. python main.py --help shows all flags."),
    ],
)
def test_a_wrong_flag_is_one_line_with_the_right_one(
    main: ModuleType, capsys: pytest.CaptureFixture[str], flags: list[str], told: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        main.main(flags)
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert stop.value.code == 2
    assert line.endswith(told)


def test_the_help_begins_in_one_screen_and_ends_with_an_example(
    main: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main.main(["--help"])
    told = capsys.readouterr().out
    assert "--data-dir VALUE" in told[:1500]
    assert "Example: python main.py" in told[-300:]


def test_a_value_that_is_no_yaml_is_one_sentence(
    main: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main.main(["--generation-config", "{temperature"])
    assert stop.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "--generation-config: {temperature is no value in YAML" in last


def test_from_another_directory_it_runs_in_the_project_with_a_config_of_that_directory(
    main: ModuleType, project_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kedro.framework.cli.cli import KedroCLI

    seen: list[tuple[Path, str]] = []

    def note(self: KedroCLI, args: list[str], prog_name: str) -> None:
        seen.append((Path.cwd(), Path(args[args.index("--config") + 1]).read_text(encoding="utf-8")))

    monkeypatch.setattr(KedroCLI, "main", note)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.json").write_text('{"lora_r": 5}')
    main.main(["--config", "mine.json"])
    ((folder, config),) = seen
    assert (folder / ".telemetry").is_file()
    assert folder == project_dir
    assert "lora_r: 5" in config
