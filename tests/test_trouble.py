"""What the machine ran into is a sentence with the place and the fix; a bug keeps its traceback."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from thresher.datasets.reports import TextDataset
from thresher.trouble import explain

# In a process of its own: a limit that is set does not come off.
LIMITED = """
import resource, sys, threading
from pathlib import Path
from thresher.trouble import explain
kind, path = sys.argv[1], Path(sys.argv[2])

def write_text():
    from thresher.files import replacing_file
    with replacing_file(path) as beside:
        beside.write_bytes(b"x" * 100_000)

def write_tensors():
    import numpy as np
    from safetensors.numpy import save_file
    from thresher.files import replacing_file
    with replacing_file(path) as beside:
        save_file({"weight": np.zeros(100_000)}, beside)

def copy():
    import shutil
    from thresher.files import replacing_folder
    source = path.parent / "source"
    source.mkdir(exist_ok=True)
    (source / "a").write_bytes(b"x" * 100_000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
    with replacing_folder(path.with_name("folder")) as beside:
        shutil.copytree(source, beside, dirs_exist_ok=True)

def database():
    import sqlite3
    connection = sqlite3.connect(path.with_name("some.db"))
    connection.execute("CREATE TABLE t (x)")
    connection.executemany("INSERT INTO t VALUES (?)", [("x" * 1000,)] * 200)
    connection.commit()

def files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
    opened = [open("/dev/null") for _ in range(30)]

def lock():
    from filelock import FileLock
    resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
    locks = [FileLock(path.with_name(f"{number}.lock")) for number in range(30)]
    for one in locks:
        one.acquire()

import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
if kind in ("write_text", "write_tensors", "database"):
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    locals()[kind]()
except Exception as error:
    print(explain(error))
"""


@pytest.mark.oddity("Runs", "a full disk, a quota, a limit on files", "one sentence, and what was there is intact")
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("write_text", "a file may not be this large here. Fix: raise the limit"),
        ("write_tensors", "a file may not be this large here. Fix: raise the limit"),
        ("copy", "a file may not be this large here. Fix: raise the limit"),
        ("database", "it is full, at a limit, or damaged. Fix: "),
        ("files", "too many files are open. Fix: raise the limit (ulimit -n 4096)"),
        ("lock", "too many files are open. Fix: raise the limit (ulimit -n 4096)"),
    ],
)
def test_a_limit_of_the_machine_is_one_sentence_and_leaves_what_was_there(tmp_path: Path, kind: str, said: str) -> None:
    path = tmp_path / "kept.txt"
    path.write_text("before")
    command = [sys.executable, "-c", LIMITED, kind, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert said in done.stdout, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 1 and "Traceback" not in done.stderr
    assert path.read_text() == "before"
    assert not list(tmp_path.glob("*.part"))


def test_a_full_disk_is_told_by_its_number(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught, Path("/dev/full").open("wb", buffering=0) as file:
        file.write(b"x")
    assert "the disk is full. Fix: free some of it (thresher clean" in str(explain(caught.value))


def refused_by_sqlite(path: Path, pragma: str) -> sqlite3.Error:
    with pytest.raises(sqlite3.OperationalError) as caught, closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute(pragma)
        connection.executemany("INSERT INTO t VALUES (?)", [("x" * 10_000,)] * 9)
    return caught.value


def test_kedro_and_others_may_wrap_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    dataset = TextDataset(str(tmp_path / "file" / "text.txt"))
    with pytest.raises(Exception) as caught:  # Kedro's own
        dataset.save("x")
    assert explain(caught.value) is None  # a folder that is a file is no limit of the machine
    for error, said in (
        (refused_by_sqlite(tmp_path / "full.db", "PRAGMA max_page_count = 2"), "the disk is full"),
        (refused_by_sqlite(tmp_path / "read_only.db", "PRAGMA query_only = 1"), "the file system is read-only"),
        (refused_by_sqlite(tmp_path / "nowhere" / "some.db", ""), "permission denied"),
        (PermissionError(13, "Permission denied", "/x/y"), "/x/y: permission denied. Fix: "),
    ):
        wrapped = RuntimeError("while saving")
        wrapped.__cause__ = error
        assert said in str(explain(wrapped))
    for error in (ValueError("No space left on device"), KeyError("x"), FileNotFoundError(2, "No such file", "a")):
        assert explain(error) is None


def _end() -> None:
    os._exit(9)


def test_a_worker_that_is_killed_is_said() -> None:
    with pytest.raises(Exception) as caught, ProcessPoolExecutor(1) as pool:
        pool.submit(_end).result()
    assert "A worker process ended without an error" in str(explain(caught.value))


# A run's SIGTERM handler is inherited by the workers that it forks; the pool ends those when one of them is killed.
KILLED = """
import os, signal, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from thresher.cli.kedro_run import _handle_signals
def work(seconds):
    os.write(1, b"%d\\n" % os.getpid())  # at once: two lines of two processes could mix
    time.sleep(seconds)
_handle_signals()
with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
    futures = [pool.submit(work, 600) for _ in range(2)]
    try:
        futures[0].result()
    except Exception as error:
        print(type(error).__name__, flush=True)
"""


@pytest.mark.oddity("Runs", "a worker of ParallelRunner is killed, as for memory", "the run ends with a sentence")
def test_the_other_workers_end_when_one_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first, second = int(process.stdout.readline()), int(process.stdout.readline())
        os.kill(first, 9)
        try:
            rest, _ = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.kill(second, 9)
            process.kill()
            raise
    assert rest.strip() == "BrokenProcessPool" and process.returncode == 0
