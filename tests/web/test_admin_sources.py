"""The admin API beside a Kubernetes cluster: what it shows, what it refuses, what it decides."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ddnsd.model.resources import Kind
from ddnsd.service.registry import SourceTakenError
from ddnsd.service.registry.sourced import SourcedDelete, SourcedRegistry
from tests.service.kubernetes import ALICE, BLOG, EVERYTHING, HELD, controller
from tests.web.admin_server import AdminServer, admin_server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[AdminServer]:
    async with admin_server(tmp_path) as server:
        yield server


@pytest.fixture
async def kube(server: AdminServer) -> AsyncIterator[SourcedRegistry]:
    async with controller(server.node) as kube:
        await kube.bind()
        await kube.change(EVERYTHING)
        yield kube


async def asked(server: AdminServer, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    response = await server.ask(method, f"/api/v1/{path}", body)
    return response.code, json.loads(response.body)


async def test_what_is_managed_says_so_and_is_changed_elsewhere(
    server: AdminServer, kube: SourcedRegistry
) -> None:
    code, shown = await asked(server, "GET", f"hosts/{BLOG}")
    assert (code, shown["metadata"]) == (200, {"name": BLOG, "source": "prod", "namespace": "home"})
    _, listed = await asked(server, "GET", "accounts")
    assert [item["metadata"]["name"] for item in listed["items"]] == [ALICE]
    code, account = await asked(server, "GET", f"accounts/{ALICE}")
    assert (code, account["metadata"]["name"]) == (200, ALICE)
    code, refused = await asked(server, "PUT", f"hosts/{BLOG}", shown)
    assert code == 422
    assert refused["problems"][0]["field"] == "metadata.source"
    assert "change it there with kubectl" in refused["error"]
    code, refused = await asked(server, "DELETE", f"accounts/{ALICE}?cascade=true")
    assert (code, "free it with `ddnsd source release prod`" in refused["error"]) == (409, True)


async def test_what_is_held_says_so(server: AdminServer, kube: SourcedRegistry) -> None:
    await kube.change([SourcedDelete(Kind.ZONE, "example.com")])
    _, shown = await asked(server, "GET", "zones/example.com")
    assert shown["metadata"] == {"name": "example.com", "source": "prod", "held": True}


async def test_a_source_is_listed_taken_over_and_released(server: AdminServer, kube: SourcedRegistry) -> None:
    _, (source,) = await asked(server, "GET", "sources")
    assert (source["name"], source["uid"], source["resources"]["hosts"]) == ("prod", "uid-1", 1)
    code, refused = await asked(server, "POST", "sources/prod/takeover", "")
    assert (code, "nobody has asked" in refused["error"]) == (409, True)
    code, released = await asked(server, "POST", "sources/prod/release", "")
    left = {"zones": 1, "accounts": 1, "hosts": 1, "tokens": 1}
    assert (code, released) == (200, {"source": "prod", "uid": "uid-1", "resources": left})
    assert (await asked(server, "POST", "sources/prod/release", ""))[0] == 404
    assert (await asked(server, "DELETE", f"hosts/{BLOG}"))[0] == 200


async def test_a_claim_is_taken_over(server: AdminServer) -> None:
    async with controller(server.node) as kube:
        await kube.bind()
    async with controller(server.node, uid="uid-2") as other:
        with pytest.raises(SourceTakenError):
            await other.bind()
    code, bound = await asked(server, "POST", "sources/prod/takeover", "")
    assert (code, bound) == (200, {"source": "prod", "uid": "uid-2"})


async def test_held_deletions_are_pruned(server: AdminServer, kube: SourcedRegistry) -> None:
    assert (await asked(server, "POST", "sources/prod/prune", ""))[0] == 409
    await kube.report((), HELD)
    code, pruned = await asked(server, "POST", "sources/prod/prune", "")
    assert (code, pruned["held"]["count"], pruned["held"]["names"]) == (200, 12, ["Host a.example.com"])
    _, (source,) = await asked(server, "GET", "sources")
    assert source["pruned"]
