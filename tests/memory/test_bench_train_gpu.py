"""The benchmark for a card runs here at a small size, so that it is ready when a card is."""

import json
import os
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_benchmark_runs_and_its_checks_hold(project_dir):
    environment = {
        **os.environ, "PYTHONPATH": str(project_dir / "src"), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "",
    }  # fmt: skip
    script = project_dir / "benchmarks" / "bench_train_gpu.py"
    done = subprocess.run(
        [sys.executable, str(script), "--tiny", "--repeats", "1"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["parity"]["gradient_against_peer"] < 1e-5
    assert result["parity"]["gradient_after_recovery"] < 1e-5
    assert {(case["tokens"], case["policy"]) for case in result["plan"]} == {
        (tokens, policy) for tokens in (64, 192) for policy in ("recompute", "keep:2")
    }
    assert all(abs(case["error"]) < 0.05 for case in result["plan"])
    assert set(result["throughput"]["tokens_per_second"]) == {"ours", "plain", "plain, grouped, kept"}
    assert result["throughput"]["ratio"] > 0
    assert result["throughput"]["share_of_matrix_rate"] > 0
    assert result["limits"]["step"]["met"] and result["limits"]["long_row"]["met"]
    assert 0 < result["limits"]["step"]["peak_gib"] < 0.1
