"""The support report holds what a helper asks for, quotes the last error, and leaks nothing."""

import json
import logging
from pathlib import Path

import pytest

from qwen_pipeline.doctor.checks import tracking_store
from qwen_pipeline.doctor.finding import Inspection, error
from qwen_pipeline.doctor.log_file import KEPT_FILES, close_log_file, last_log, open_log_file
from qwen_pipeline.doctor.report import build_report, write_report
from qwen_pipeline.errors import DataError


@pytest.fixture
def failed_run(tmp_path: Path) -> Path:
    handler = open_log_file(tmp_path, "20260101-000000")
    log = logging.getLogger("qwen_pipeline.test")
    try:
        raise ValueError("the proxy https://me:topsecret1@proxy.example refused")
    except ValueError:
        log.exception("training failed")
    close_log_file(handler)
    return tmp_path


def test_the_report_quotes_the_last_error_with_its_traceback(failed_run: Path) -> None:
    report = build_report(
        Inspection(failed_run, {"train": {"batch_size": 8}}), [error("disk", "full", "prune")]
    )
    assert report["last_error"]["error"] == "ValueError"
    assert "Traceback" in report["last_error"]["traceback"]
    assert report["parameters"] == {"train": {"batch_size": 8}}
    assert report["findings"][0]["remedy"] == "prune"
    assert report["versions"]["torch"]
    assert report["system"]["memory_gib"] > 0
    assert any("kedro run" in line for line in report["reproduction"])


def test_the_written_report_holds_no_planted_secret(
    failed_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_plantedplantedplanted")
    groups = {"train": {"model_name": "/home/zhangsan/models/qwen", "note": "hf_plantedplantedplanted"}}
    target = failed_run / "support.json"
    write_report(target, build_report(Inspection(failed_run, groups), []))
    text = target.read_text(encoding="utf-8")
    for secret in ("topsecret1", "hf_planted", "zhangsan"):
        assert secret not in text
    assert json.loads(text)["last_error"]["error"] == "ValueError"


def test_the_report_is_json_whatever_the_texts_in_it_are(tmp_path: Path) -> None:
    groups = {"train": {"note": 'token="abc\\"def', "rate": float("nan"), "password": 'a"b\\'}}
    target = tmp_path / "support.json"
    findings = [error("hub", 'api_key="x\\", {token: y1y1y1}', 'C:\\Users\\zhaoliu\\"x"')]
    write_report(target, build_report(Inspection(tmp_path, groups), findings))
    read = json.loads(target.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert read["parameters"]["train"]["password"] == "[removed]"
    assert read["versions"]["google-auth"][0].isdecimal()


def test_the_folder_of_the_report_is_made_and_a_file_in_its_place_is_one_sentence(tmp_path: Path) -> None:
    report = build_report(Inspection(tmp_path), [])
    write_report(tmp_path / "to/send/support.json", report)
    assert (tmp_path / "to/send/support.json").is_file()
    for path in (tmp_path / "to/send/support.json/x.json", tmp_path / "to"):
        with pytest.raises(DataError, match="cannot be written"):
            write_report(path, report)


def test_a_line_cut_off_by_a_kill_is_passed_over(failed_run: Path) -> None:
    name, lines = last_log(failed_run)
    path = failed_run / "logs" / str(name)
    path.write_text(path.read_text(encoding="utf-8") + '{"level": "ERR', encoding="utf-8")
    assert last_log(failed_run)[1] == lines


def test_old_log_files_are_removed(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for number in range(KEPT_FILES + 5):
        (tmp_path / "logs" / f"2020-{number:03}.jsonl").write_text("{}\n")
    handler = open_log_file(tmp_path, "2026")
    logging.getLogger("qwen_pipeline.test").warning("one line")
    close_log_file(handler)
    names = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert len(names) == KEPT_FILES
    assert names[-1] == "2026.jsonl"


def test_a_folder_that_cannot_be_made_costs_only_the_log(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file in the way")
    assert open_log_file(tmp_path, "2026") is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_a_full_disk_costs_only_the_log_and_is_not_told_line_by_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/2026.jsonl").symlink_to("/dev/full")
    handler = open_log_file(tmp_path, "2026")
    for _ in range(3):
        logging.getLogger("qwen_pipeline.test").warning("one line")
    close_log_file(handler)
    assert "Traceback" not in capsys.readouterr().err


PLANTED = {
    "git remote": "fatal: could not read from https://zhaoliu:gitpass77@git.example/team/repo.git",
    "password with an at sign": "http://me:p@ssw0rd99@proxy.example:8080",
    "YAML comment": "conf/local/parameters.yml: # password: yamlsecret55",
    "flag": "git clone x --token flagsecret66 --depth 1",
    "hub token": "401 for hf_abcdefghijklmnop1234",
    "ModelScope token": "login ms-01234567-89ab-cdef-0123-456789abcdef",
    "query": "GET https://hub.example/x?access_token=querysecret88&y=1",
    "header": "Authorization: Bearer headersecret99",
    "home": "no file /home/zhaoliu/models or C:\\Users\\zhaoliu\\models",
    "user and machine": "wangwu at box-of-wangwu-77 says",
    "e-mail": "zhao.liu@example.com",
    "variable": "refused with plainlookingvalue44",
    "proxy variable": "http_proxy is http://me:proxysecret33@proxy.example:8080",
}
SECRETS = (
    "gitpass77", "ssw0rd99", "yamlsecret55", "flagsecret66", "hf_abc", "ms-0123", "cdef-0123", "querysecret88", "headersecret99",
    "zhaoliu", "wangwu", "box-of", "zhao.liu", "plainlookingvalue44", "proxysecret33", "storesecret22", "modelsecret11",
)  # fmt: skip


def test_a_bundle_of_a_machine_full_of_secrets_holds_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In log lines, a traceback, parameters, findings, variables, and the names of user and machine."""
    monkeypatch.setattr("getpass.getuser", lambda: "wangwu")
    monkeypatch.setattr("socket.gethostname", lambda: "box-of-wangwu-77")
    monkeypatch.setenv("COMPANY_API_KEY", "plainlookingvalue44")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:storesecret22@tracking.example/")
    handler = open_log_file(tmp_path, "20260101-000000")
    log = logging.getLogger("qwen_pipeline.test")
    for line in PLANTED.values():
        log.warning(line)
    try:
        raise ValueError(" ".join(PLANTED.values()))
    except ValueError:
        log.exception("failed")
    close_log_file(handler)
    groups = {"train": {"model_name": "https://me:modelsecret11@hub.example/m", "token": PLANTED["flag"]}}
    findings = [*tracking_store.check(Inspection(tmp_path)), error("hub", PLANTED["proxy variable"], "-")]
    target = tmp_path / "support.json"
    write_report(target, build_report(Inspection(tmp_path, groups), findings))
    text = target.read_text(encoding="utf-8")
    assert [secret for secret in SECRETS if secret in text] == []
    assert json.loads(text)["last_error"]["error"] == "ValueError"
    assert "could not read from https://" in text  # what helps stays
