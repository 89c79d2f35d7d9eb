"""Workers that are processes: what they give back, and what is told when they die.

Each test runs a program of its own, since pytest's own threads must not be copied.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from itertools import pairwise

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")

START = """
import logging, os, signal, sys, time
from neuraxis.errors import *
from neuraxis.workers import Job, Limits, side_by_side

def run(function, items, **limits):
    each_gb = limits.pop("each_gb", 0.0)
    jobs = [Job(f"case-{item}", item, each_gb) for item in items]
    with side_by_side(function, jobs, Limits(**{"processes": True, "workers": 2, **limits})) as results:
        for result in results:
            print(result, flush=True)
"""


def run(script: str, timeout: float = 30) -> tuple[str, str, float]:
    """Run a program after `START`; return what it printed, its messages, and its seconds."""
    began = time.monotonic()
    program = START + textwrap.dedent(script)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=timeout, check=False)
    return done.stdout, done.stderr, time.monotonic() - began


def test_every_job_is_done_once_in_another_process():
    said, problems, _ = run("run(lambda item: [item, os.getppid()], range(20)); print('parent', os.getpid())")
    *results, parent = said.splitlines()
    assert not problems
    assert sorted(json.loads(line)[0] for line in results) == list(range(20))
    assert {str(json.loads(line)[1]) for line in results} == {parent.split()[1]}


def test_no_module_is_imported_again_by_a_worker():
    said, problems, _ = run(
        """
        import numpy, blosc2
        before = set(sys.modules)
        run(lambda _: len(set(sys.modules) - before), range(4))
        """
    )
    assert not problems
    assert said.split() == ["0"] * 4


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by signal 9 (SIGKILL), as the system does where memory"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed in native code with signal 11 (SIGSEGV)"),
        ("__import__('ctypes').string_at(0)", "crashed in native code with signal 11 (SIGSEGV)"),
        ("os.abort()", "crashed in native code with signal 6 (SIGABRT)"),
        ("os._exit(3)", "ended with exit code 3"),
    ],
)
def test_a_dead_worker_is_reported_within_seconds_with_case_cause_and_cure(how, told):
    said, _, seconds = run(
        f"""
        def work(item):
            time.sleep(0.1)
            if item == 3:
                {how}
            return item
        try:
            run(work, range(6))
        except ResourceError as error:
            print(error)
        """
    )
    *results, message = said.splitlines()
    assert message.startswith("case-3: its worker process " + told)
    assert "GiB of memory are free now" in message
    assert "more memory or fewer workers, or leave the case out" in message
    assert sorted(results) == ["0", "1", "2", "4", "5"]  # the others are done before it is tried again
    assert seconds < 10


def test_a_worker_killed_from_outside_is_noticed_and_its_job_done_by_another():
    said, problems, seconds = run(
        """
        logging.basicConfig(format="%(message)s")
        flag = "/tmp/neuraxis-test-" + str(os.getpid())
        def work(item):
            if item == 0 and not os.path.exists(flag):
                open(flag, "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(0.2)
            return item
        run(work, range(5))
        os.remove(flag)
        """
    )
    assert sorted(said.split()) == ["0", "1", "2", "3", "4"]
    assert problems.startswith("case-0: its worker process was killed by signal 9 (SIGKILL)")
    assert "tried again by itself after the others" in problems
    assert seconds < 10


def test_a_job_whose_company_ended_before_it_died_is_tried_again():
    said, problems, _ = run(
        """
        logging.basicConfig(format="%(message)s")
        flag = "/tmp/neuraxis-test-" + str(os.getpid())
        def work(item):
            if item == 1 and not os.path.exists(flag):
                open(flag, "w").close()
                time.sleep(0.5)
                os.kill(os.getpid(), signal.SIGKILL)
            return item
        run(work, range(2))
        os.remove(flag)
        """
    )
    assert sorted(said.split()) == ["0", "1"]
    assert problems.startswith("case-1: its worker process was killed by signal 9 (SIGKILL)")


def test_a_lone_worker_that_dies_is_reported_at_once():
    said, _, seconds = run(
        """
        try:
            run(lambda item: os.kill(os.getpid(), signal.SIGKILL), [1, 2], workers=1)
        except ResourceError as error:
            print(error)
        """
    )
    assert said.startswith("case-1: its worker process was killed by signal 9")
    assert seconds < 10


def test_an_idle_worker_that_dies_disturbs_nobody():
    said, problems, _ = run(
        """
        def work(item):
            if item == 1:
                return os.getpid()
            time.sleep(1)
            return 0
        with side_by_side(work, [Job("a", 1), Job("b", 2)], Limits(processes=True, workers=2)) as results:
            os.kill(next(results), signal.SIGKILL)
            print(list(results))
        """
    )
    assert (said.strip(), problems) == ("[0]", "")


def test_an_error_for_the_user_comes_back_with_its_type_and_message():
    said, _, _ = run(
        """
        def work(item):
            raise UnknownName("rule", "zscor", ["zscore"])
        try:
            run(work, [1])
        except UnknownName as error:
            print(type(error).__name__, error.exit_code, error)
        """
    )
    assert said.strip() == "UnknownName 2 No rule is called 'zscor'. Did you mean 'zscore'?"


def test_a_bug_comes_back_with_the_workers_traceback():
    said, _, _ = run(
        """
        def faulty(item):
            return 1 / item
        try:
            run(faulty, [0])
        except RuntimeError as error:
            print(error)
        """
    )
    assert said.startswith("case-0: failed in a worker process:\nTraceback")
    assert "in faulty" in said
    assert said.rstrip().endswith("ZeroDivisionError: division by zero")


@pytest.mark.parametrize("processes", [True, False])
def test_want_of_memory_names_the_case_and_the_cure(processes):
    said, _, _ = run(
        f"""
        def work(item):
            raise MemoryError
        try:
            run(work, [1], processes={processes})
        except ResourceError as error:
            print(error)
        """
    )
    assert said.startswith("case-1: memory did not suffice; ")
    assert "more memory or fewer workers" in said


def test_messages_of_workers_pass_through_the_parent():
    _, problems, _ = run(
        """
        logging.basicConfig(format="shown by %(process)d: %(message)s")
        run(lambda item: logging.getLogger("neuraxis").warning("scan %d is odd", item), [7])
        print(os.getpid(), file=sys.stderr)
        """
    )
    message, parent = problems.splitlines()
    assert message == f"shown by {parent}: scan 7 is odd"


@pytest.mark.parametrize("processes", [True, False])
def test_jobs_under_way_never_take_more_memory_together_than_there_is_room_for(processes):
    said, _, _ = run(
        f"""
        def work(item):
            began = time.monotonic()
            time.sleep(0.15)
            return [began, time.monotonic()]
        run(work, range(8), workers=4, room_gb=5.0, each_gb=2.0, processes={processes})
        """
    )
    spans = [json.loads(line) for line in said.splitlines()]
    at_once = [sum(first <= moment < last for first, last in spans) for moment, _ in spans]
    assert len(spans) == 8
    assert max(at_once) == 2


@pytest.mark.parametrize("processes", [True, False])
def test_a_job_larger_than_the_room_runs_alone(processes):
    said, _, _ = run(
        f"""
        def work(item):
            began = time.monotonic()
            time.sleep(0.1)
            return [began, time.monotonic()]
        run(work, range(4), workers=4, room_gb=5.0, each_gb=9.0, processes={processes})
        """
    )
    spans = sorted(json.loads(line) for line in said.splitlines())
    assert all(last <= first for (_, last), (first, _) in pairwise(spans))


def test_threads_do_the_work_where_other_threads_run():
    said, problems, _ = run(
        """
        import threading
        from neuraxis.workers import may_fork
        print(may_fork())
        lock, stop = threading.Lock(), threading.Event()
        def hold():
            with lock:
                stop.wait()
        threading.Thread(target=hold).start()
        print(may_fork())
        run(lambda item: os.getpid() == os.getppid() or os.getpid(), [1], processes=None)
        print(os.getpid())
        stop.set()
        """
    )
    assert not problems
    first, second, worker, parent = said.split()
    assert (first, second) == ("True", "False")
    assert worker == parent


def test_threads_of_native_libraries_do_not_stop_the_copies():
    """OpenBLAS' and Blosc's threads are awake when the process is copied, and the copies use both libraries."""
    said, problems, _ = run(
        """
        import blosc2, numpy as np
        square = np.ones((600, 600))
        before = (square @ square)[0, 0]
        packed = blosc2.asarray(square, cparams={"nthreads": 2})
        alone = {"nthreads": 1}
        def work(item):
            packed = blosc2.asarray(square, cparams=alone, dparams=alone)
            return [float((square @ square)[0, 0]), float(packed[:].sum())]
        for _ in range(6):
            run(work, range(4))
        """
    )
    assert not problems
    assert said.split("\n")[:-1] == ["[600.0, 360000.0]"] * 24


def test_workers_end_with_a_parent_that_is_killed():
    program = START + textwrap.dedent(
        """
        def work(item):
            os.write(1, b"%d\\n" % os.getpid())
            time.sleep(0.3)
            return item
        with side_by_side(work, [Job("", 0)] * 999, Limits(processes=True, workers=2)) as results:
            list(results)
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    workers = {int(parent.stdout.readline()), int(parent.stdout.readline())}
    parent.kill()
    parent.wait()
    ended = time.monotonic() + 8
    while any(is_running(worker) for worker in workers) and time.monotonic() < ended:
        time.sleep(0.05)
    parent.stdout.close()
    assert not [worker for worker in workers if is_running(worker)]


def test_an_interrupted_parent_takes_its_workers_with_it():
    said, _, seconds = run(
        """
        import subprocess
        def work(item):
            time.sleep(60)
        try:
            with side_by_side(work, [Job("a", 1), Job("b", 2)], Limits(processes=True, workers=2)) as results:
                signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
                signal.setitimer(signal.ITIMER_REAL, 0.3)
                next(results)
        except KeyboardInterrupt:
            print(subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True).stdout)
        """
    )
    assert said.strip() == "b''"
    assert seconds < 10


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
