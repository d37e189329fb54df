"""etcdctl, bound to one member: what etcd has, told by etcd's own program."""

import json
import os
import subprocess
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple


class Written(NamedTuple):
    """A key that was put."""

    revision: int
    key: str
    value: bytes


class Etcdctl:
    """Runs etcdctl. `options` say where and how; secrets go by `environ`, never by the arguments."""

    def __init__(self, program: str, *options: str, environ: Mapping[str, str]) -> None:
        self._command = [program, *options]
        self._environ = {**os.environ, "ETCDCTL_API": "3", **environ}

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run it to its end, whatever comes of it."""
        command = [*self._command, *arguments]
        return subprocess.run(
            command, env=self._environ, input=stdin, capture_output=True, text=True, check=False
        )

    def ask(self, *arguments: str) -> Any:
        """Return what it answers, of JSON."""
        done = self.run(*arguments, "-w", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def history(self, prefix: str, since: int) -> list[Written]:
        """Return all that was put under the prefix from revision `since` on, in order."""
        newest = self.ask("get", prefix, "--prefix", "--sort-by=MODIFY", "--order=DESCEND", "--limit=1")
        history: list[Written] = []
        with self._watching(prefix, since) as responses:
            for item in newest.get("kvs", ()):
                while not history or history[-1].revision < item["mod_revision"]:
                    history += next(responses)
        return history

    @contextmanager
    def _watching(self, prefix: str, since: int) -> Iterator[Iterator[Sequence[Written]]]:
        command = [*self._command, "watch", prefix, "--prefix", f"--rev={since}", "-w", "json"]
        with subprocess.Popen(command, env=self._environ, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            yield (_puts(json.loads(line)) for line in process.stdout)
            process.kill()


def _puts(response: Mapping[str, Any]) -> list[Written]:
    items = [event["kv"] for event in response["Events"] if "type" not in event]  # 0, PUT, is left out
    return [
        Written(item["mod_revision"], b64decode(item["key"]).decode(), b64decode(item["value"]))
        for item in items
    ]
