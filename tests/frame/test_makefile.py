"""Each target of the Makefile is one script."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPES = re.findall(r"(?m)^([a-z-]+):.*\n\t@(\S+)$", (ROOT / "Makefile").read_text())


def test_the_targets_are_the_documented_ones() -> None:
    assert {target for target, _ in RECIPES} >= {"run", "test", "test-faults", "lint", "bench", "clean"}


def test_a_bare_make_prints_the_targets() -> None:
    printed = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    assert {line.split()[1] for line in printed.splitlines()} == {"help", *dict(RECIPES)}


@pytest.mark.parametrize("recipe", [*dict(RECIPES).values(), ".ci/run"])
def test_a_script_runs_says_what_it_does_and_stops_at_errors(recipe: str) -> None:
    first, second, *rest = (ROOT / recipe).read_text().splitlines()
    assert os.access(ROOT / recipe, os.X_OK)
    assert first == "#!/usr/bin/env bash"
    assert second.startswith("# ")
    assert "set -euo pipefail" in rest
