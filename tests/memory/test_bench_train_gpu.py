"""The benchmark for a card runs here at a small size, so that it is ready when a card is, and nothing costs it its ten minutes."""

import json
import os
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import pytest
import torch

from qwen_pipeline.errors import OutOfMemoryError
from qwen_pipeline.memory.activations import ActivationPolicy
from qwen_pipeline.memory.recovery import OutOfMemoryEvent

# A machine that has torch, transformers, peft and bitsandbytes alone: this project is not installed, nor what else it needs.
BARE_MACHINE = """
import sys
from importlib.machinery import PathFinder
from pathlib import Path

ABSENT = {"kedro", "kedro_datasets", "mlflow", "pydantic", "pandas", "pyarrow", "datasets", "jieba", "trl", "unsloth"}

class WhatIsThere(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in ABSENT else super().find_spec(name, path, target)

def is_editable(finder):
    return "__editable__" in getattr(finder, "__module__", "")

sys.path = [place for place in sys.path if not (Path(place) / "qwen_pipeline").is_dir()]
sys.meta_path = [WhatIsThere if finder is PathFinder else finder for finder in sys.meta_path if not is_editable(finder)]
"""


@pytest.fixture
def benchmarks(project_dir, monkeypatch):
    monkeypatch.syspath_prepend(str(project_dir / "benchmarks"))


@pytest.fixture
def output(tmp_path):
    return tmp_path / "result.json"


@pytest.fixture
def report(benchmarks, output):
    from gpu_report import Part, write_whole

    figures = {}
    return Part(figures, lambda: write_whole(figures, output), seconds=100)


@pytest.mark.slow
def test_the_benchmark_runs_on_a_bare_machine_and_its_checks_hold(project_dir, tmp_path, output):
    (tmp_path / "sitecustomize.py").write_text(BARE_MACHINE, encoding="utf-8")
    environment = {
        **os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "",
    }  # fmt: skip
    script = project_dir / "benchmarks" / "bench_train_gpu.py"
    done = subprocess.run(
        [sys.executable, str(script), "--tiny", "--repeats", "1", "--output", str(output)],
        env=environment,
        cwd=project_dir,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert json.loads(output.read_text("utf-8")) == result
    assert not errors_in(result)
    assert result["parity"]["gradient_against_peer"] < 1e-5
    assert result["parity"]["gradient_after_recovery"] < 1e-5
    assert result["parity"]["losses_of_20_steps_float32"] < 1e-4
    rounding = result["parity"]["bfloat16_from_float32"]
    assert 0 < rounding["ours"] < 2 * rounding["plain"] < 2e-2
    assert {(case["tokens"], case["policy"]) for case in result["plan"]["rank 8"]["cases"]} == {
        (tokens, policy) for tokens in (64, 192) for policy in ("recompute", "keep:2")
    }
    assert result["plan"]["largest_error"] < 0.05 and result["plan"]["failures"] == 0
    assert (result["plan"]["configurations"], result["plan"]["run"], result["plan"]["left_out"]) == (4, 4, 0)
    assert set(result["throughput"]["tokens_per_second"]) == {"ours", "plain", "plain, grouped, kept"}
    assert result["throughput"]["ratio"] > 0
    assert result["throughput"]["share_of_matrix_rate"] > 0
    assert result["profile"]["kernels_ms"] > 0
    assert result["profile"]["longest"]
    assert set(result["profile"]["recomputing_ms"]) == {"last product left out", "whole"}
    assert result["peers"]["not_installed"] == ["trl, padded", "trl, packed"]
    assert result["peers"]["transformers"]["capped"]
    assert result["ours_beside_peers"]["ratios"]["transformers"] > 0
    assert result["limits"]["step"]["met"] and result["limits"]["long_row"]["met"]
    assert 0 < result["limits"]["step"]["peak_gib"] < 0.1


def test_cases_of_an_earlier_run_are_not_run_again(benchmarks, tmp_path):
    from gpu_grid import measured_before, name_of

    case = {"rank": 8, "cap_gb": 6, "tokens": 512, "policy": "recompute", "fits": True, "measured_gib": 3.0}
    failed = {**case, "tokens": 1024, "failed": "out of memory"}
    del failed["measured_gib"]
    earlier = tmp_path / "earlier.json"
    earlier.write_text(
        json.dumps({"plan": {"rank 8": {"cases": [case, failed]}, "run": 2}}), encoding="utf-8"
    )
    assert measured_before(earlier) == {name_of(case): case}
    assert measured_before(None) == {}
    assert name_of(case) == (8, 6, 512, "recompute")


def errors_in(figures):
    """What parts were ended by, at any depth."""
    if not isinstance(figures, dict):
        return []
    own = [figures["error"]] if "error" in figures else []
    return own + [error for inner in figures.values() for error in errors_in(inner)]


def test_a_part_that_fails_keeps_what_it_found_and_the_next_one_runs(report, output):
    def fails(part):
        part.note(first=1)
        assert json.loads(output.read_text("utf-8")) == {"broken": {"first": 1}}
        raise ValueError("no such kernel\nand a long story")

    report.attempt("broken", fails)
    report.attempt("sound", lambda part: part.note(found=2))
    written = json.loads(output.read_text("utf-8"))
    assert written["broken"]["first"] == 1
    assert written["broken"]["error"] == "ValueError: no such kernel"
    assert written["sound"]["found"] == 2


def test_every_part_has_its_share_of_what_is_left(report):
    left = []
    report.attempt("one", lambda part: left.append(part.seconds_left()), share=0.25)
    report.attempt("two", lambda part: left.append(part.seconds_left()))
    assert left == [pytest.approx(25, abs=1), pytest.approx(100, abs=1)]


def test_a_peer_that_never_fits_is_reported(benchmarks):
    from gpu_throughput import Mode, summarise_modes

    nothing, policy = (lambda: None), ActivationPolicy(0)
    modes = {
        "ours": Mode(policy, nothing, is_peer=False, seconds=[2.0, 1.0, 4.0]),
        "plain": Mode(policy, nothing, capped=False),
        "plain, grouped, kept": Mode(policy, nothing, seconds=[4.0]),
    }
    found = summarise_modes(modes, tokens=8)
    assert found["median"] == {"ours": 4.0, "plain": None, "plain, grouped, kept": 2.0}
    assert (found["ratio"], found["ratio_to_best"]) == (None, 2.0)
    assert (found["did_not_fit"], found["without_the_cap"]) == (["plain"], ["plain"])


def run_under_a_small_cap(monkeypatch, is_peer):
    """A step that only fits without the cap; the fractions that the allocator was given."""
    import gpu_throughput

    given = []
    monkeypatch.setattr(gpu_throughput, "set_fraction", lambda fraction, device: given.append(fraction))

    def step():
        if given[-1] < 1.0:
            raise OutOfMemoryError("A single row does not fit")

    mode = gpu_throughput.Mode(ActivationPolicy(0), step, is_peer=is_peer)
    taken = [gpu_throughput.run_capped(mode, torch.device("cpu"), 0.2) for _ in range(2)]
    return given, taken, mode


def test_a_peer_that_does_not_fit_under_the_cap_runs_without_it(benchmarks, monkeypatch):
    given, taken, mode = run_under_a_small_cap(monkeypatch, is_peer=True)
    assert given == [0.2, 1.0, 1.0] and not mode.capped
    assert None not in taken


def test_this_project_never_runs_without_the_cap(benchmarks, monkeypatch):
    given, taken, mode = run_under_a_small_cap(monkeypatch, is_peer=False)
    assert given == [0.2, 0.2] and mode.capped
    assert taken == [None, None]


def test_what_runs_cold_is_not_timed(benchmarks, monkeypatch):
    import gpu_throughput

    run, policy = [], ActivationPolicy(0)
    modes = {
        name: gpu_throughput.Mode(policy, lambda name=name: run.append(name), capped=name != "peer")
        for name in ("ours", "peer", "other")
    }
    monkeypatch.setattr(gpu_throughput, "apply_activation_policy", lambda model, policy: None)
    model, cpu = torch.nn.Linear(1, 1), torch.device("cpu")
    gpu_throughput.time_in_turns(model, modes, cpu, 0.2, repeats=2, seconds_left=lambda: 1.0)
    assert run == ["ours"] * 2 + ["peer"] * 2 + ["other"] * 2 + ["ours", "peer", "other", "other"]
    assert [len(mode.seconds) for mode in modes.values()] == [2, 2, 2]


def test_without_time_every_mode_is_timed_once(benchmarks, monkeypatch):
    import gpu_throughput

    modes = {name: gpu_throughput.Mode(ActivationPolicy(0), lambda: None) for name in ("ours", "plain")}
    monkeypatch.setattr(gpu_throughput, "apply_activation_policy", lambda model, policy: None)
    gpu_throughput.time_in_turns(
        torch.nn.Linear(1, 1), modes, torch.device("cpu"), 0.2, repeats=9, seconds_left=lambda: -1.0
    )
    assert [len(mode.seconds) for mode in modes.values()] == [1, 1]


def test_a_peers_process_tries_again_without_the_cap(benchmarks, monkeypatch):
    import gpu_peer

    attempts = []

    def train(*arguments):
        attempts.append(arguments[0])
        if len(attempts) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return {"tokens_per_second": 3.0}

    monkeypatch.setattr(gpu_peer, "train", train)
    options = SimpleNamespace(system="transformers", cap=16.0, config=None, tiny=True)
    assert gpu_peer.measure(options) == {"capped": False, "tokens_per_second": 3.0}


def hold(monkeypatch, run, recoveries=()):
    import gpu_limits

    def peak(model, run, device):
        run()
        return 2**30

    monkeypatch.setattr(gpu_limits, "measured_peak", peak)
    return gpu_limits.hold_against_limit(
        torch.nn.Linear(1, 1), run, torch.device("cpu"), 2.0, list(recoveries)
    )


def test_a_limit_is_met_by_a_run_that_nothing_rescued(benchmarks, monkeypatch):
    assert hold(monkeypatch, lambda: None)["met"]
    rescued = hold(monkeypatch, lambda: None, [OutOfMemoryEvent("out of memory", "frugal", 8192)])
    assert not rescued["met"]
    (recovery,) = rescued["recoveries"]
    assert (recovery["action"], recovery["size"]) == ("frugal", 8192)


@pytest.mark.parametrize("error", [OutOfMemoryError("A single row"), torch.OutOfMemoryError("CUDA")])
def test_a_limit_that_is_missed_is_a_figure(benchmarks, monkeypatch, error):
    def run():
        raise error

    found = hold(monkeypatch, run)
    assert not found["met"] and found["failed"].startswith("OutOfMemoryError")


def test_the_stepper_of_the_limits_tells_its_recoveries(benchmarks, tiny_stepper):
    stepper, recoveries = tiny_stepper
    stepper.on_event(OutOfMemoryEvent("out of memory", "split"))
    assert [event.action for event in recoveries] == ["split"]


@pytest.fixture
def tiny_stepper(benchmarks):
    from gpu_limits import make_stepper
    from gpu_model import TINY, build_model
    from transformers import Qwen3Config

    recoveries = []
    model = build_model(Qwen3Config(**TINY), torch.device("cpu"), torch.float32, 4)
    return make_stepper(model, torch.device("cpu"), (1, 64, ActivationPolicy(0)), recoveries), recoveries


def plan_of(tokens, usable_gib, needs_gib):
    return SimpleNamespace(
        max_tokens=tokens, fits=needs_gib <= usable_gib, needs_gib=needs_gib, policy="recompute",
        cap=SimpleNamespace(usable_gib=usable_gib), parts=SimpleNamespace(allocated=1, reserved=1),
    )  # fmt: skip


def run_grid(monkeypatch, report, seconds_of_a_case, known=None):
    """Four plans (one does not fit) on a machine where a case takes so long; the tokens of what was run."""
    import gpu_grid

    clock, run = [0.0], []
    grid = gpu_grid.Grid(ranks=(8,), lengths=(1, 2, 3, 4), caps=(4,), policies=(ActivationPolicy(0),))
    plans = [plan_of(1, 3.5, 1.0), plan_of(2, 3.5, 3.4), plan_of(3, 3.5, 4.0), plan_of(4, 3.5, 2.0)]
    cases = [gpu_grid.Case(8, 4, 0.1, plan) for plan in plans]
    traces = SimpleNamespace(of=lambda rank: {})

    def run_case(model, config, case, device):
        run.append(case.plan.max_tokens)
        clock[0] += seconds_of_a_case
        return {**gpu_grid.describe_case(case), "measured_gib": 1.0, "error": 0.01 * case.plan.max_tokens}

    monkeypatch.setattr(gpu_grid, "build_model", lambda *arguments: None)
    monkeypatch.setattr(gpu_grid, "plan_cases", lambda *arguments: (cases, []))
    monkeypatch.setattr(gpu_grid, "run_case", run_case)
    monkeypatch.setattr("gpu_report.time.perf_counter", lambda: clock[0])
    report.attempt(
        "plan", lambda part: gpu_grid.check_plan(part, None, torch.device("cpu"), grid, traces, known or {})
    )
    return run, report.figures["plan"]


def test_the_grid_runs_the_tightest_plans_first_and_counts_all(report, monkeypatch):
    run, found = run_grid(monkeypatch, report, seconds_of_a_case=0.0)
    assert run == [2, 4, 1]
    assert {key: found[key] for key in ("configurations", "run", "do_not_fit_by_plan", "left_out", "failures")} == {
        "configurations": 4, "run": 3, "do_not_fit_by_plan": 1, "left_out": 0, "failures": 0,
    }  # fmt: skip
    assert found["largest_error"] == 0.04


def test_what_an_earlier_run_has_measured_is_not_run_again_and_counts(report, monkeypatch):
    earlier = {
        "rank": 8,
        "cap_gb": 4,
        "tokens": 2,
        "policy": "recompute",
        "fits": True,
        "measured_gib": 1,
        "error": 0.03,
    }
    run, found = run_grid(monkeypatch, report, 0.0, known={(8, 4, 2, "recompute"): earlier})
    assert run == [4, 1]
    assert (found["run"], found["left_out"], found["largest_error"]) == (3, 0, 0.04)


def test_what_the_time_does_not_suffice_for_is_counted(report, monkeypatch):
    run, found = run_grid(monkeypatch, report, seconds_of_a_case=1e9)
    assert run == [2]
    assert (found["run"], found["do_not_fit_by_plan"], found["left_out"]) == (1, 1, 2)


def test_a_peer_that_crashes_costs_only_itself(report, tmp_path, monkeypatch):
    import gpu_peers

    script = tmp_path / "peer.py"
    script.write_text(
        textwrap.dedent("""
            import os, sys
            if "broken" in sys.argv:
                os.abort()
            print('RESULT {"tokens_per_second": 5.0}')
        """),
        encoding="utf-8",
    )
    monkeypatch.setattr(gpu_peers, "SCRIPT", script)
    monkeypatch.setattr(gpu_peers, "PEERS", {"broken": None, "sound": None, "absent": "no_such_package"})
    report.attempt("peers", lambda part: gpu_peers.measure_peers(part, [], tiny=False, cap_gb=16))
    peers = report.figures["peers"]
    assert "ended with -6" in peers["broken"]["error"]
    assert peers["sound"]["tokens_per_second"] == 5.0
    assert peers["not_installed"] == ["absent"]
    assert gpu_peers.compare(10.0, peers) == {
        "ratios": {"sound": 2.0}, "best_peer": "sound", "ratio_to_best": 2.0
    }  # fmt: skip
