"""Processes that start while etcd is in trouble: they wait, say so, and nothing ends them."""

import json
import os
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.helm import container, example, one, render
from tests.rigs.base import NameserverRig
from tests.rigs.etcd import EtcdRig, versions
from tests.rigs.kubernetes.kubelet.container import Container
from tests.rigs.ports import ADDRESS, PortLease
from tests.rigs.process import ServerProcess
from tests.system.http import Client
from tests.system.installation import Installation
from tests.system.installation import example as documents
from tests.system.load import UNCHANGED, UPDATED
from tests.system.workers import pids
from tests.waiting import PATIENCE, until, wait_until

BLOG = "blog.example.com"
FASTER = 6  # times that the probes' periods, and so the outage, are shorter than in a cluster
OUTAGE = 180.0 / FASTER  # seconds
READY_WITHIN = 5.0  # seconds after etcd's return, as in a cluster
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
POD = {
    "node": ("Deployment", "ddnsd"),
    "workers": ("Deployment", "ddnsd"),
    "controller": ("Deployment", "ddnsd-controller"),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "node": {},
    "workers": {"workers": 2},
    "controller": {"kube": {"server": f"https://{ADDRESS}:1"}},
}


class Pod:
    """A container of the chart, run by the stand-in for kubelet as a process on the loopback."""

    def __init__(self, name: str, spec: dict[str, Any], folder: Path, store: dict[str, Any]) -> None:
        self.name = name
        self._lease = PortLease()
        self._folder = folder
        folder.mkdir()
        key = folder / "key"
        key.touch(0o600)
        key.write_text("AAAAAAAAAAAAAAAAAAAAAA==")
        health = f"{ADDRESS}:{self._lease.port}"
        listen = {"public": f"{ADDRESS}:0", "admin": f"{ADDRESS}:0", "health": health}
        tsig = {"name": "ddnsd", "secret_file": str(key)}
        settings = {
            "data": str(folder / "data"),
            "listen": listen,
            "log": {"format": "json"},
            "nameservers": {"default": {"kind": "rfc2136", "address": ADDRESS, "port": 1, "key": tsig}},
            "store": store,
            **SETTINGS[name],
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(settings))
        self.container = Container(_on_this_machine(spec, self._lease.port), ADDRESS, self._start, "Always")

    def _start(self) -> Any:
        role = "controller" if self.name == "controller" else "node"
        arguments = ("serve", "--role", role, "--config", str(self._folder / "config.yaml"))
        return ServerProcess([sys.executable, "-m", "ddnsd", *arguments], self._folder / "log")

    def close(self) -> None:
        self.container.close()
        self._lease.release()

    def log(self) -> str:
        return (self._folder / "log").read_text()

    def readyz(self) -> tuple[int, str]:
        url = f"http://{ADDRESS}:{self._lease.port}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


def _on_this_machine(spec: dict[str, Any], port: int) -> dict[str, Any]:
    """Return the container with its health port, and its probes' periods shorter.

    Thresholds and timeouts stay: what is shorter by the same factor are a probe's whole patience, period
    times threshold, and the outage.
    """
    probes = {name: {**spec[name], "periodSeconds": spec[name]["periodSeconds"] / FASTER} for name in PROBES}
    return {**spec, **probes, "ports": [{"name": "health", "containerPort": port}]}


@pytest.fixture
def etcd() -> Iterator[EtcdRig]:
    with EtcdRig(versions()[-1]) as rig:
        yield rig


def _run(pods: list[Pod], seconds: float) -> None:
    """Do what kubelet does for so long."""
    deadline = time.monotonic() + seconds

    def is_over() -> bool:
        for pod in pods:
            pod.container.step()
            assert pod.container.restarts == 0, pod.log()
            assert pod.container.process.running, pod.log()
        return time.monotonic() >= deadline

    wait_until(is_over, seconds + PATIENCE)


def test_pods_that_start_three_minutes_before_etcd_are_not_restarted(etcd: EtcdRig, tmp_path: Path) -> None:
    documents = render(example("own-etcd"))
    (member,) = etcd.members
    store = {"kind": "etcd", "etcd": {"endpoints": [member.url]}}
    member.freeze()
    with ExitStack() as stack:
        pods = []
        for name, (kind, workload) in POD.items():
            pods.append(Pod(name, container(one(documents, kind, workload)), tmp_path / name, store))
            stack.callback(pods[-1].close)
        _run(pods, OUTAGE / 2)
        member.kill()  # from "connects and hears nothing" to "nobody listens"
        _run(pods, OUTAGE / 2)
        for pod in pods:
            status, body = pod.readyz()
            assert (status, json.loads(body)["ready"]) == (503, False)
            assert "waiting for the store: " in body
            assert not pod.container.ready
            said = [json.loads(line) for line in pod.log().splitlines() if "start.waiting_for_store" in line]
            assert said[0]["seconds"] < 3, "an operator is told at once"
            assert len(said) >= 2, "and again"
        member.launch()
        etcd.wait()
        back = time.monotonic()
        while not all(pod.container.ready for pod in pods):
            assert time.monotonic() < back + READY_WITHIN, [pod.readyz() for pod in pods]
            _run(pods, 0.05)


async def test_a_node_starts_on_an_etcd_that_takes_no_writes(tmp_path: Path) -> None:
    with EtcdRig(versions()[-1], options=("--quota-backend-bytes", "16777216")) as etcd:
        store = {"kind": "etcd", "timeout": 2, "etcd": {"endpoints": [etcd.members[0].url], "lease_ttl": 2}}
        async with Installation(tmp_path, store=store) as ddnsd:
            await ddnsd.apply(*documents())
            assert (await ddnsd.update(BLOG, "192.0.2.1")).message == UPDATED
            assert await ddnsd.terminate() == 0
            _fill(etcd)
            await ddnsd.start()
            assert (await ddnsd.health.get("/readyz")).status == 200
            assert (await ddnsd.update(BLOG, "192.0.2.1")).message == UNCHANGED


async def test_a_worker_that_waits_does_not_unready_the_node(
    tmp_path: Path, etcd: EtcdRig, bind_rig: NameserverRig
) -> None:
    (member,) = etcd.members
    store = {"kind": "etcd", "timeout": 2, "etcd": {"endpoints": [member.url]}}
    environ = {"TMPDIR": tempfile.gettempdir()}  # a short path: Unix sockets are made below
    async with Installation(tmp_path, bind_rig, environ=environ, store=store, workers=2) as ddnsd:

        async def both_answer() -> bool:
            return len(ddnsd.events("ready")) == 2

        await until(both_answer, 20, "both workers are ready")
        with member.frozen():
            os.kill(pids(ddnsd)[1], signal.SIGKILL)

            async def waits() -> bool:
                return bool(ddnsd.events("start.waiting_for_store"))

            await until(waits, 20, "the worker in its place waits for the store")
            reasons = set()
            for _ in range(40):  # each over a connection of its own: to either worker
                client = Client(ddnsd.addresses["health"])
                reply = await client.get("/readyz")
                await client.close()
                assert reply.status == 200, reply.body
                reasons |= {reason.partition(":")[0] for reason in reply.json["reasons"]}
            assert "waiting for the store" in reasons, "the waiting worker was asked too"


def _fill(etcd: EtcdRig) -> None:
    """Write until etcd has no space and takes no writes."""
    for number in range(64):
        done = etcd.ctl_of(etcd.members[0]).run("put", f"filler/{number}", stdin="x" * 1_000_000)
        if done.returncode:
            assert "database space exceeded" in done.stderr, done.stderr
            return
    raise AssertionError("etcd is not full")
