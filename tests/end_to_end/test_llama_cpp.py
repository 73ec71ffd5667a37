"""Exports for llama.cpp, opened by llama.cpp: `make check-llama-cpp` builds it and runs this, `make test` leaves it out."""

import json

import pytest

from end_to_end.project import FinishedProject

pytestmark = [pytest.mark.slow, pytest.mark.llama_cpp]
TYPES = ("f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m")


def test_every_file_answers_in_llama_cpp_as_the_gate_asks(finished_project: FinishedProject) -> None:
    formats = f"export_formats=merged+gguf+ollama,gguf_types={'+'.join(TYPES)}"
    finished_project.kedro("run", "--pipeline", "export", "--params", formats)
    report = json.loads(finished_project.newest("08_reporting", "export_report.json").read_text("utf-8"))
    print(json.dumps(report["checks"], indent=1))
    checks = {check["export"]: check for check in report["checks"]}
    assert list(checks) == ["merged", *TYPES, "ollama"]
    assert all(check["passed"] and check["same_prompts"] == 1 for check in checks.values())
    assert all(checks[kind]["client"] == "llama.cpp" for kind in TYPES)
    assert checks["f16"]["same_answers"] == 1
    assert checks["f16"]["mean_kl"] <= 0.001
    assert checks["q8_0"]["mean_kl"] <= 0.01
    sizes = {name: size for name, size in report["files"].items() if name.endswith(".gguf")}
    assert sorted(sizes.values()) == [sizes[f"gguf/model-{kind}.gguf"] for kind in reversed(TYPES)]
