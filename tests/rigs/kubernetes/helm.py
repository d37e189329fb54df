"""helm 4 on a cluster."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.rigs.kubernetes.programs import helm_program

CHART = Path(__file__).parents[3] / "charts" / "ddnsd"


class Helm:
    """One release."""

    def __init__(self, kubeconfig: Path, namespace: str, release: str = "ddnsd") -> None:
        self._program = helm_program()
        self._environ = {**os.environ, "KUBECONFIG": str(kubeconfig), "HELM_NAMESPACE": namespace}
        self.release = release
        self.chart = str(CHART)  # an older one may take its place

    def run(
        self, *arguments: str, values: Mapping[str, Any] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end, whatever comes of it."""
        given = () if values is None else ("--values", "-")
        return subprocess.run(
            [self._program, *arguments, *given],
            input=json.dumps(values or {}),
            env=self._environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def __call__(self, *arguments: str, values: Mapping[str, Any] | None = None) -> str:
        """Run it and return what it prints."""
        done = self.run(*arguments, values=values)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def install(self, values: Mapping[str, Any], *options: str) -> str:
        """Install the chart and wait until everything is ready; return the notes."""
        return self("install", self.release, self.chart, "--wait", *options, values=values)

    def upgrade(self, values: Mapping[str, Any], *options: str) -> str:
        return self("upgrade", self.release, self.chart, "--wait", *options, values=values)
