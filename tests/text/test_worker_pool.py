"""Tasks in processes of their own."""

import os
import pickle
import subprocess
import sys
import time
from functools import partial

import pytest

from qwen_pipeline.errors import WorkerError
from qwen_pipeline.text import worker_pool
from qwen_pipeline.text.worker_pool import map_in_processes

TASKS = [f"{number} + 1" for number in range(20)]


def test_results_come_in_the_order_of_the_tasks():
    assert list(map_in_processes(eval, TASKS, 2)) == list(range(1, 21))


def test_the_work_is_done_elsewhere_by_as_many_processes_as_asked_for():
    me = os.getpid()
    found = set(map_in_processes(eval, ["__import__('os').getpid()"] * 30, 2))
    assert me not in found
    assert 1 <= len(found) <= 2
    assert set(map_in_processes(eval, ["__import__('os').getpid()"] * 3, 1)) == {me}


def test_an_error_of_a_task_is_raised_here():
    with pytest.raises(ZeroDivisionError):
        list(map_in_processes(eval, ["1", "1 / 0", "2"], 2))


class NeedsTwoError(Exception):
    """Cannot be unpickled, as some of libraries cannot: its ``args`` are not what it is made from."""

    def __init__(self, what, code):
        super().__init__(what)
        self.code = code


def fail_in_two_words(task):
    raise NeedsTwoError(f"no room for {task}", 1)


def test_an_error_that_does_not_survive_the_way_is_told_by_name_and_message():
    with pytest.raises(RuntimeError, match="NeedsTwoError: no room for 1"):
        list(map_in_processes(fail_in_two_words, [1, 2], 2))


def test_a_result_that_cannot_be_sent_is_told_as_what_it_is():
    with pytest.raises((AttributeError, pickle.PicklingError), match="pickle"):
        list(map_in_processes(eval, ["lambda: 1"] * 2, 2))


INTERRUPTED = """
import os, signal, threading, time
from qwen_pipeline.text.worker_pool import map_in_processes
os.setpgrp()
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
results = map_in_processes(eval, ["1", "2", *["__import__('time').sleep(60)"] * 4], 2)
assert next(results) == 1 and next(results) == 2
threading.Timer(0.3, os.killpg, (0, signal.SIGINT)).start()
try:
    next(results)
except KeyboardInterrupt:
    print("stopped")
"""


def test_an_interrupt_ends_the_work_at_once_and_no_process_prints_a_traceback():
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, env=env)
    assert (done.stdout, done.stderr) == ("stopped\n", "")
    assert time.monotonic() - begun < 30


def test_a_process_that_is_killed_is_told_of():
    with pytest.raises(WorkerError, match="clean_workers=1"):
        list(map_in_processes(eval, ["__import__('os')._exit(9)"] * 2, 2))


def test_a_process_that_is_killed_within_its_answer_is_told_of(monkeypatch):
    half = "import os, pickle, sys; sys.stdin.buffer.read(1); os.write(1, pickle.dumps((bytes(9999), None))[:5000])"
    monkeypatch.setattr(worker_pool, "_COMMAND", half)
    with pytest.raises(WorkerError, match="clean_workers=1"):
        list(map_in_processes(eval, ["1"] * 2, 2))


def test_a_process_makes_tables_without_pandas():
    task = "__import__('pyarrow').array([1, None]).null_count, 'pandas' in __import__('sys').modules"
    assert list(map_in_processes(eval, [task] * 2, 2)) == [(1, False)] * 2


def test_what_a_task_prints_does_not_get_among_the_answers():
    assert list(map_in_processes(eval, ["print('x') or 1", "print('y') or 2"], 2)) == [1, 2]


def test_stopping_early_ends_the_processes():
    results = map_in_processes(eval, TASKS, 2)
    assert next(results) == 1
    results.close()


def test_a_script_from_standard_input_without_a_guard_works():
    script = "from qwen_pipeline.text.worker_pool import map_in_processes as m; print(list(m(len, ['a', 'bb'], 2)))"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-"], input=script, capture_output=True, text=True, env=env, check=True
    )
    assert done.stdout.strip() == "[1, 2]"


def test_arguments_that_are_the_same_for_all_travel_with_the_function():
    assert list(map_in_processes(partial(int, base=2), ["10", "11"], 2)) == [2, 3]


@pytest.mark.parametrize(("cores", "left", "workers"), [(16, 64, 16), (16, 3, 3), (2, 0.5, 1), (1, 64, 1)])
def test_there_are_no_more_processes_than_cores_or_than_memory_is_left_for(monkeypatch, cores, left, workers):
    monkeypatch.setattr(worker_pool, "usable_cores", lambda: cores)
    monkeypatch.setattr(worker_pool, "available_memory_bytes", lambda: int(left * worker_pool.WORKER_BYTES))
    tasks = ["__import__('time').sleep(0.05) or __import__('os').getpid()"] * (3 * workers)
    pids = set(map_in_processes(eval, tasks))
    assert len(pids) <= workers
    assert (pids == {os.getpid()}) == (workers == 1)
