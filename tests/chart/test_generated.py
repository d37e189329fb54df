"""What script/chart makes is up to date: README's table, the schema, what needs a restart, the dashboard."""

import os
import subprocess
import sys

from tests.chart.helm import ROOT


def test_what_is_made_is_fresh() -> None:
    command = [sys.executable, "script/chart.py", "--check"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
