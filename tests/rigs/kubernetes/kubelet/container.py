"""One container of a pod, over all its restarts."""

import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from tests.rigs.kubernetes.kubelet.probes import Prober
from tests.rigs.kubernetes.kubelet.sandbox import Process
from tests.waiting import wait_until

_BACKOFF = 0.5, 10.0  # seconds before the first restart, and at most (kubelet's: 10 and 300)


class Container:
    """`start` makes a process each time it is called."""

    def __init__(
        self, spec: Mapping[str, Any], address: str, start: Callable[[], Process], policy: str
    ) -> None:
        """`policy` is the pod's restartPolicy."""
        self.spec = spec
        self.restarts = 0
        self._address = address
        self._start = start
        self._policy = policy
        self._is_leaving = False
        self._began = _now()
        self._again: float | None = None
        self.process = start()
        self._prober = Prober(spec, address)

    @property
    def ready(self) -> bool:
        return self.process.running and self._prober.ready

    @property
    def ended(self) -> bool:
        """Say whether it has ended for good."""
        return not self.process.running and (self._policy == "Never" or self._is_leaving)

    def step(self) -> None:
        """Start it again if it has ended, or fails its probes."""
        if self.process.running:
            self._again = None
            if self._prober.failed:
                self.stop(30.0)
        elif not self.ended:
            self._restart()

    def leave(self) -> None:
        """Do no more for it than to see whether it is ready; when it ends, it does so for good."""
        self._is_leaving = True
        self._prober.is_leaving = True

    def stop(self, seconds: float) -> None:
        """SIGTERM, and SIGKILL if it is not gone by then."""
        self.process.signal(signal.SIGTERM)
        with suppress(AssertionError):
            wait_until(lambda: not self.process.running, seconds)
        self.close()

    def close(self) -> None:
        self.process.kill()
        self._prober.stop()

    def status(self) -> dict[str, Any]:
        """Return its entry in `containerStatuses`."""
        if self.process.running:
            state: dict[str, Any] = {"running": {"startedAt": self._began}}
        elif self.ended:
            code = self.process.code
            state = {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed"}}
        else:
            state = {"waiting": {"reason": "CrashLoopBackOff"}}
        return {
            "name": self.spec["name"],
            "image": self.spec["image"],
            "imageID": self.spec["image"],
            "ready": self.ready,
            "started": self.process.running and self._prober.started,
            "restartCount": self.restarts,
            "state": state,
        }

    def _restart(self) -> None:
        first, most = _BACKOFF
        if self._again is None:
            self._again = time.monotonic() + min(most, first * 2**self.restarts)
        if time.monotonic() < self._again:
            return
        self._prober.stop()
        self.restarts += 1
        self._began = _now()
        self.process = self._start()
        self._prober = Prober(self.spec, self._address)
        self._again = None


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
