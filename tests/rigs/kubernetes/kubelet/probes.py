"""A container's probes: by HTTP, from the node, at their own pace."""

import http.client
import threading
import time
from collections.abc import Mapping
from typing import Any

_DEFAULTS = {"periodSeconds": 10, "timeoutSeconds": 1, "failureThreshold": 3, "successThreshold": 1}


class Probe:
    """One probe; `passes` is its verdict, None before there is one."""

    def __init__(self, spec: Mapping[str, Any], address: str, ports: Mapping[str, int]) -> None:
        self._spec = {**_DEFAULTS, **spec}
        self._address = address
        port = spec["httpGet"]["port"]
        self._port = port if isinstance(port, int) else ports[port]
        self._next = 0.0
        self._row = 0  # equal results, one after the other
        self._last: bool | None = None
        self.passes: bool | None = None

    def step(self) -> None:
        """Ask, if it is time to."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._spec["periodSeconds"]
        result = self._ask()
        self._row = self._row + 1 if result == self._last else 1
        self._last = result
        if self._row >= self._spec["successThreshold" if result else "failureThreshold"]:
            self.passes = result

    def _ask(self) -> bool:
        connection = http.client.HTTPConnection(
            self._address, self._port, timeout=self._spec["timeoutSeconds"]
        )
        try:
            connection.request("GET", self._spec["httpGet"]["path"])
            return 200 <= connection.getresponse().status < 400
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class Prober:
    """Runs a container's probes in a thread until `stop`; the startup probe first, then the others."""

    def __init__(self, container: Mapping[str, Any], address: str) -> None:
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", ()) if "name" in port}
        self._probes = {
            kind: Probe(container[f"{kind}Probe"], address, ports)
            for kind in ("startup", "readiness", "liveness")
            if f"{kind}Probe" in container
        }
        self._stopped = threading.Event()
        self.is_leaving = False  # then only readiness is asked for
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def started(self) -> bool:
        return "startup" not in self._probes or bool(self._probes["startup"].passes)

    @property
    def ready(self) -> bool:
        return self.started and ("readiness" not in self._probes or bool(self._probes["readiness"].passes))

    @property
    def failed(self) -> bool:
        """Say whether the container has to be started anew."""
        kind = "liveness" if self.started else "startup"
        return kind in self._probes and self._probes[kind].passes is False

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(0.05):
            if not self.started:
                self._probes["startup"].step()
                continue
            for kind in ("readiness", "liveness"):
                if kind in self._probes and not (self.is_leaving and kind == "liveness"):
                    self._probes[kind].step()
