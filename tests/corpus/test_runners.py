"""The local pool: every task once, and nothing left running when its parent is killed."""

import os
import signal
import subprocess
import sys
import time

import pytest

from biobert_jax.corpus.pipeline.runners import Workers


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_once(workers):
    with Workers(workers) as pool:
        for _ in range(2):
            results = dict(pool.run(abs, [-1, 2, -3, 4, -5]))
            assert results == {0: 1, 1: 2, 2: 3, 3: 4, 4: 5}


def test_workers_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, time\n"
        "from biobert_jax.corpus.pipeline.runners import Workers\n"
        "def work(task):\n"
        f"    open(f'{tmp_path}/{{os.getpid()}}.pid', 'w').close()\n"
        "    time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    with Workers(2) as pool:\n"
        "        list(pool.run(work, [0, 1]))\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)])
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("*.pid"))) < 2:
        assert parent.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    alive = [int(path.stem) for path in tmp_path.glob("*.pid")]
    while alive and time.monotonic() < deadline:
        time.sleep(0.05)
        alive = [pid for pid in alive if _is_running(pid)]
    assert not alive


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
