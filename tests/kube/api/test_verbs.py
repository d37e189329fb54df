"""The verbs, on a real API server."""

import pytest

from ddnsd.kube.api import (
    SECRETS,
    AlreadyExistsError,
    ApiClient,
    ApiRefusedError,
    ApiResource,
    ConflictError,
    ForbiddenError,
    Key,
    NotServedError,
    ObjectNotFoundError,
    Selection,
)
from tests.kube.api.lamps import Lamps
from tests.rigs.kubernetes import KubernetesRig, ServiceAccount

CONFIG_MAPS = ApiResource("", "v1", "configmaps")
UNKNOWN = ApiResource("nowhere.test", "v1", "lamps")


async def test_a_list_has_all_pages_at_one_revision(client: ApiClient, lamps: Lamps) -> None:
    names = [f"lamp-{number}" for number in range(7)]
    for name in names:
        lamps.put(name)
    resource_version, objects = await client.list(lamps.selection, page=3)
    assert [found.key for found in objects] == [Key(lamps.namespace, name) for name in names]
    assert int(resource_version) >= int(objects[-1].metadata.resource_version)


async def test_a_list_of_everything_has_other_namespaces_too(client: ApiClient, lamps: Lamps) -> None:
    other = Lamps(lamps.rig, lamps.rig.namespace(), lamps.resource.group)
    lamps.put("here")
    other.put("there")
    _, objects = await client.list(Selection(lamps.resource))
    assert {found.key for found in objects} >= {
        Key(lamps.namespace, "here"),
        Key(other.namespace, "there"),
    }


async def test_a_selector_chooses(client: ApiClient, namespace: str) -> None:
    for name in ("one", "two"):
        document = {"metadata": {"namespace": namespace, "name": name, "labels": {"number": name}}}
        await client.create(CONFIG_MAPS, document, manager="test")
    _, objects = await client.list(Selection(CONFIG_MAPS, namespace, labels="number=two"))
    assert [found.metadata.name for found in objects] == ["two"]


async def test_what_is_applied_can_be_got(client: ApiClient, lamps: Lamps) -> None:
    applied = await client.apply(lamps.resource, lamps.document("a", note="灯"), manager="test")
    found = await client.get(lamps.resource, "a", namespace=lamps.namespace)
    assert found == applied
    assert found.metadata.generation == 1
    assert found.document()["spec"] == {"colour": "red", "note": "灯"}


async def test_a_field_that_is_no_longer_applied_goes(client: ApiClient, lamps: Lamps) -> None:
    await client.apply(lamps.resource, lamps.document("a", note="old"), manager="test")
    applied = await client.apply(lamps.resource, lamps.document("a"), manager="test")
    assert applied.document()["spec"] == {"colour": "red"}


async def test_another_managers_field_is_a_conflict_unless_forced(client: ApiClient, lamps: Lamps) -> None:
    lamps.put("a", colour="green")
    with pytest.raises(ConflictError, match="colour"):
        await client.apply(lamps.resource, lamps.document("a"), manager="test")
    applied = await client.apply(lamps.resource, lamps.document("a"), manager="test", force=True)
    assert applied.document()["spec"]["colour"] == "red"


async def test_the_status_is_applied_beside_the_spec(client: ApiClient, lamps: Lamps) -> None:
    lamps.put("a", colour="green")
    document = {**lamps.document("a"), "status": {"lit": True}}
    applied = await client.apply(lamps.resource, document, manager="test", subresource="status")
    assert applied.document()["spec"] == {"colour": "green"}
    assert applied.document()["status"] == {"lit": True}
    assert applied.metadata.generation == 1


async def test_the_status_of_nothing_is_not_found(client: ApiClient, lamps: Lamps) -> None:
    document = {**lamps.document("a"), "status": {"lit": True}}
    with pytest.raises(ObjectNotFoundError) as failed:
        await client.apply(lamps.resource, document, manager="test", subresource="status")
    assert not isinstance(failed.value, NotServedError)


async def test_the_status_of_a_version_that_is_over_is_a_conflict(client: ApiClient, lamps: Lamps) -> None:
    document = {**lamps.document("a"), "status": {"lit": True}}
    document["metadata"]["resourceVersion"] = lamps.put("a")
    lamps.put("a", colour="green")
    with pytest.raises(ConflictError):
        await client.apply(lamps.resource, document, manager="test", subresource="status")


async def test_what_breaks_the_schema_is_invalid(client: ApiClient, lamps: Lamps) -> None:
    with pytest.raises(ApiRefusedError, match=r"422 Invalid.*Unsupported value"):
        await client.apply(lamps.resource, lamps.document("a", colour="blue"), manager="test")


async def test_an_object_is_created_once(client: ApiClient, lamps: Lamps) -> None:
    created = await client.create(lamps.resource, lamps.document("a"), manager="test")
    assert created.key == Key(lamps.namespace, "a")
    with pytest.raises(AlreadyExistsError):
        await client.create(lamps.resource, lamps.document("a"), manager="test")


async def test_only_the_very_object_is_deleted(client: ApiClient, lamps: Lamps) -> None:
    created = await client.create(lamps.resource, lamps.document("a"), manager="test")
    where = {"namespace": lamps.namespace}
    with pytest.raises(ConflictError):
        await client.delete(lamps.resource, "a", uid="another", **where)
    await client.delete(lamps.resource, "a", uid=created.metadata.uid, **where)
    with pytest.raises(ObjectNotFoundError):
        await client.delete(lamps.resource, "a", **where)


async def test_what_rbac_does_not_allow_is_forbidden(client: ApiClient, namespace: str) -> None:
    with pytest.raises(ForbiddenError) as failed:
        await client.get(SECRETS, "any", namespace=namespace)
    assert str(failed.value) == "get secrets/any: 403 Forbidden"


async def test_no_error_quotes_from_a_secret(
    client: ApiClient, kubernetes: KubernetesRig, account: ServiceAccount, namespace: str
) -> None:
    kubernetes.allow(account, {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]})
    document = {"metadata": {"namespace": namespace, "name": "s"}, "data": {"key with blank": "c2VjcmV0"}}
    with pytest.raises(ApiRefusedError) as failed:
        await client.create(SECRETS, document, manager="test")
    assert str(failed.value) == "create secrets: 422 Invalid"


async def test_a_resource_without_a_crd_is_not_served_never_empty(client: ApiClient) -> None:
    with pytest.raises(NotServedError):
        await client.list(Selection(UNKNOWN))
    with pytest.raises(NotServedError):
        async with client.watch(Selection(UNKNOWN), "1"):
            pass
    assert not await client.serves(UNKNOWN)


async def test_discovery_says_what_is_served(client: ApiClient, lamps: Lamps) -> None:
    assert await client.serves(lamps.resource)
    assert await client.serves(CONFIG_MAPS)
    assert not await client.serves(lamps.resource._replace(plural="kettles"))


async def test_a_pods_own_namespace_is_among_its_credentials(client: ApiClient, namespace: str) -> None:
    assert client.namespace == namespace
