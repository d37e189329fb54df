"""The parent of workers, on a process of its own: it forks."""

import subprocess
import sys
from pathlib import Path

from ddnsd.app.watchdog import STATUS

PROGRAM = """
import os, signal, sys
from pathlib import Path
from ddnsd.app.workers import PreforkSupervisor

starts = Path(sys.argv[1])

def work(worker):
    with starts.open("a") as file:
        file.write("x")
    if starts.stat().st_size == 1:
        os._exit(int(sys.argv[2]))
    os.kill(worker.parent, signal.SIGTERM)
    os.read(worker.lifeline, 1)
    return 0

sys.exit(PreforkSupervisor(1, work, lambda: None).keep())
"""


def test_a_worker_that_ended_itself_is_started_again(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    command = [sys.executable, "-c", PROGRAM, str(starts), str(STATUS)]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0
    assert starts.read_text() == "xx"
