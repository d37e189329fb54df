"""The Secrets of Tokens."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ddnsd.model.request import Refusal, Updated
from ddnsd.model.resources import digest
from tests.kube.counting import counting
from tests.kube.world import COMMON_RULES, SECRET_RULE, Told, World, until
from tests.rigs.kubernetes import ServiceAccount
from tests.waiting import until as until_holds


@pytest.fixture
async def running(world: World) -> AsyncIterator[World]:
    world.set_up()
    async with world.controller():
        await world.until_condition("token", "router")
        yield world


LABELS = {"ddnsd.dev/token-source": "true"}


def put_secret(world: World, name: str, text: str, key: str = "token", **more: Any) -> None:
    metadata = {"name": name, "namespace": world.namespace, "labels": more.pop("labels", LABELS)}
    data = {key: b64encode(text.encode()).decode()}
    world.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data, **more})


async def test_the_secret_is_owned_by_its_token(running: World) -> None:
    token = running.get("token", "router")
    secret = running.get("secret", token["status"]["secretName"])
    (owner,) = secret["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Token", token["metadata"]["uid"])
    assert "sha256" not in token["spec"]  # the controller writes no spec


async def test_a_secret_of_somebody_else_is_not_touched(world: World) -> None:
    put_secret(world, "ddnsd-token-router", "somebody-else's-secret")
    world.set_up()
    async with world.controller():
        await world.until_condition("token", "router", "SecretExists")
    assert world.get("secret", "ddnsd-token-router")["data"] == {
        "token": b64encode(b"somebody-else's-secret").decode()
    }


async def test_a_secret_of_ones_own(running: World) -> None:
    running.apply(running.document("Token", "mine", account="alice", secretRef={"name": "mine"}))
    await running.until_condition("token", "mine", "SecretNotFound")
    put_secret(running, "mine", "short")
    await running.until_condition("token", "mine", "SecretInvalid")
    put_secret(running, "mine", f"{running.mine}\n")
    await running.until_condition("token", "mine")
    assert isinstance(await running.update_with(running.mine, "192.0.2.1"), Updated)


@pytest.mark.parametrize("labels", [{}, {"ddnsd.dev/token-source": "yes"}], ids=str)
async def test_a_secret_that_does_not_consent_is_as_good_as_absent(
    running: World, labels: dict[str, str]
) -> None:
    put_secret(running, "theirs", running.mine, labels=labels)
    refs = [{"name": "nothing"}, {"name": "theirs"}, {"name": "theirs", "key": "password"}]
    for number, ref in enumerate(refs):
        running.apply(running.document("Token", f"t{number}", account="alice", secretRef=ref))
        await running.until_condition("token", f"t{number}", "SecretNotFound")
    told = {running.message("token", f"t{number}").replace("theirs", "nothing") for number in range(3)}
    assert len(told) == 1
    assert running.node.state.tokens.by_digest(digest(running.mine)) is None


async def test_a_secret_of_the_tokens_type_consents(running: World) -> None:
    put_secret(running, "typed", running.mine, labels={}, type="ddnsd.dev/token")
    running.apply(running.document("Token", "mine", account="alice", secretRef={"name": "typed"}))
    await running.until_condition("token", "mine")


async def test_a_secret_is_described_by_nothing_of_it(running: World) -> None:
    put_secret(running, "mine", "short-secret")
    running.apply(running.document("Token", "mine", account="alice", secretRef={"name": "mine"}))
    await running.until_condition("token", "mine", "SecretInvalid")
    message = running.message("token", "mine")
    assert "16 to 1024" in message
    assert "12" not in message


async def test_whose_a_taken_secret_is_is_told_to_its_namespace_alone(running: World) -> None:
    other = running.other_namespace()
    running.apply(
        running.document("Token", "first", account="alice", sha256="b" * 64),
        running.document("Account", "bob", other),
        running.document("Token", "guess", other, account="bob", sha256="b" * 64),
    )
    await running.until_condition("token", "guess", "SecretTaken", namespace=other)
    message = running.message("token", "guess", namespace=other)
    assert running.namespace not in message
    assert "first" not in message


async def accepted_before(world: World, **ref: str) -> None:
    """Have a Token accepted as the ddnsd before did it, which asked for no label."""
    put_secret(world, "mine", world.mine)
    world.apply(world.document("Token", "mine", account="alice", secretRef={"name": "mine", **ref}))
    async with world.controller():
        await world.until_condition("token", "mine")
    put_secret(world, "mine", world.mine, labels={})
    forget = [{"op": "remove", "path": f"/status/{name}"} for name in ("secretKey", "followsUnlabelled")]
    patch = ("--subresource=status", "--type=json", "-p", json.dumps(forget))
    world.kubectl("patch", "tokens.ddnsd.dev", "mine", "-n", world.namespace, *patch)


async def test_a_token_accepted_before_follows_its_secret_with_a_warning(world: World) -> None:
    world.set_up()
    await accepted_before(world)
    async with world.controller():
        await world.until_condition("token", "mine", "LabelMissing", "SecretLabelled")
        await world.until_condition("token", "mine")
        put_secret(world, "mine", "another-secret-of-mine", labels={})
        new = digest("another-secret-of-mine")
        await until(lambda: world.node.state.tokens.by_digest(new) is not None, True, "followed")
    async with world.controller():  # as its status says
        put_secret(world, "mine", world.mine, labels={})
        new = digest(world.mine)
        await until(lambda: world.node.state.tokens.by_digest(new) is not None, True, "followed")
        command = world.message("token", "mine", "SecretLabelled").split("`")[1]
        world.kubectl(*command.split()[1:])
        await until(lambda: world.condition("token", "mine", "SecretLabelled"), None, "warned")


@pytest.mark.parametrize("ref", [{"name": "theirs"}, {"name": "mine", "key": "password"}], ids=str)
async def test_a_token_accepted_before_follows_no_other_secret(world: World, ref: dict[str, str]) -> None:
    world.set_up()
    await accepted_before(world)
    put_secret(world, "theirs", "a-secret-of-somebody", labels={})
    world.kubectl("patch", "secret", "mine", "-n", world.namespace, "-p", json.dumps({"stringData": OTHER}))
    async with world.controller():
        await world.until_condition("token", "mine", "LabelMissing", "SecretLabelled")
        world.apply(world.document("Token", "mine", account="alice", secretRef=ref))
        await world.until_condition("token", "mine", "SecretNotFound")
    world.apply(world.document("Token", "mine", account="alice", secretRef={"name": "mine"}))
    async with world.controller():  # nor its own again: that has to be labelled now
        await world.until_condition("token", "mine", "SecretNotFound")


OTHER = {"password": "a-password-of-somebody"}


async def test_a_secret_has_a_name_that_leads_nowhere_else(running: World) -> None:
    for number, name in enumerate(("..", ".", f"../../{running.release}/secrets/mine", "a%2fb")):
        running.apply(running.document("Token", f"t{number}", account="alice", secretRef={"name": name}))
        await running.until_condition("token", f"t{number}", "SecretNotFound")


async def test_a_changed_secret_rotates_the_token(running: World) -> None:
    old = running.secret()
    name = running.get("token", "router")["status"]["secretName"]
    running.kubectl("delete", "secret", name, "-n", running.namespace)
    await until(lambda: _is_new(running, name, old), True, "a new secret")
    assert isinstance(await _settled(running), Updated)
    assert await running.update_with(old, "192.0.2.2") is Refusal.UNKNOWN_TOKEN


async def test_the_former_secret_stays_valid_for_the_overlap(running: World) -> None:
    old = running.secret()
    put_secret(running, "mine", running.mine)
    running.apply(
        running.document("Token", "router", account="alice", secretRef={"name": "mine"}, rotationOverlap=600)
    )
    new = digest(running.mine)
    await until(lambda: running.node.state.tokens.by_digest(new) is not None, True, "rotated")
    assert isinstance(await running.update_with(old, "192.0.2.1"), Updated)
    assert isinstance(await running.update_with(running.mine, "192.0.2.2"), Updated)


async def test_a_new_token_does_not_wait_for_all_others(world: World) -> None:
    def made() -> list[str]:
        return world.kubectl("get", "secrets", "-n", world.namespace, "-o", "name").split()

    many = [world.document("Token", f"t{number}", account="alice") for number in range(200)]
    world.set_up()
    world.apply(*many)
    async with world.controller():
        await until(lambda: made() != [], True, "the first secrets are there")
        world.apply(world.document("Token", "late", account="alice"))
        await until(lambda: "secret/ddnsd-token-late" in made(), True, "the late one's secret is there")
        assert len(made()) < len(many)


async def test_a_digest_can_stand_in_the_token(running: World) -> None:
    running.apply(running.document("Token", "plain", account="alice", sha256=digest("plain-secret-plain")))
    await running.until_condition("token", "plain")
    assert isinstance(await running.update_with("plain-secret-plain", "192.0.2.1"), Updated)


async def test_one_secret_is_one_tokens(running: World) -> None:
    running.apply(running.document("Token", "b1", account="alice", sha256="b" * 64))
    await running.until_condition("token", "b1")
    running.apply(running.document("Token", "b2", account="alice", sha256="b" * 64))
    await running.until_condition("token", "b2", "SecretTaken")


async def test_two_tokens_swap_their_secrets(running: World) -> None:
    secrets = {name: f"the-secret-of-token-{name}" for name in ("one", "two")}
    for name, secret in secrets.items():
        put_secret(running, name, secret)
        running.apply(running.document("Token", name, account="alice", secretRef={"name": name}))
        await running.until_condition("token", name)
    other = {"one": "two", "two": "one"}
    for name, secret in other.items():
        put_secret(running, name, secrets[secret])
    wanted = {running.account(name): digest(secrets[other[name]]) for name in secrets}

    def stored() -> dict[str, str]:
        return {name: running.node.state.tokens[name].value.spec.sha256 for name in wanted}

    await until(stored, wanted, "the secrets")
    for name in secrets:
        await running.until_condition("token", name)


async def test_a_token_that_is_made_again_gets_a_new_secret(running: World) -> None:
    old = running.secret()
    kubectl = running.kubectl
    kubectl("delete", "token.ddnsd.dev", "router", "-n", running.namespace)
    running.apply(running.document("Token", "router", account="alice"))
    await running.until_condition("token", "router", "Pending")
    secret = kubectl.get("secret", "ddnsd-token-router", "-n", running.namespace)
    uid = running.get("token", "router")["metadata"]["uid"]
    assert secret["metadata"]["ownerReferences"][0]["uid"] != uid
    # As the garbage collector does, which this cluster has not.
    kubectl("delete", "secret", "ddnsd-token-router", "-n", running.namespace)
    await running.until_condition("token", "router")
    assert running.secret() != old
    assert await running.update_with(old, "192.0.2.2") is Refusal.UNKNOWN_TOKEN


@pytest.fixture
def bound_nowhere(world: World) -> ServiceAccount:
    """A controller's account that may use no Secrets yet."""
    account = world.rig.service_account(world.release, "bound-nowhere")
    world.rig.allow(account, *COMMON_RULES)
    return account


async def test_a_secret_that_may_not_be_read_says_the_binding_to_make(
    world: World, bound_nowhere: ServiceAccount
) -> None:
    world.set_up()
    async with world.controller(bound_nowhere, role="dns:ddnsd-secrets"):
        await world.until_condition("token", "router", "SecretForbidden")
        await world.until_condition("host", world.host())  # all else goes on
        message = world.message("token", "router")
        assert message.split("`")[1] == (
            f"kubectl create rolebinding ddnsd-secrets --namespace={world.namespace} "
            f"--clusterrole=dns:ddnsd-secrets --serviceaccount={world.release}:bound-nowhere"
        )
        world.rig.allow(bound_nowhere, SECRET_RULE, namespace=world.namespace)
        await world.until_condition("token", "router")
        assert isinstance(await world.update("192.0.2.1"), Updated)


async def test_where_secrets_may_be_read_and_not_made_one_of_ones_own_is_asked_for(
    world: World, bound_nowhere: ServiceAccount
) -> None:
    world.rig.allow(bound_nowhere, SECRET_RULE | {"verbs": ["get"]}, namespace=world.namespace)
    world.set_up()
    async with world.controller(bound_nowhere):
        await world.until_condition("token", "router", "SecretForbidden")
        assert "name it in `secretRef`" in world.message("token", "router")


async def test_a_token_whose_secret_may_no_longer_be_read_goes_on_and_can_be_disabled(
    world: World, bound_nowhere: ServiceAccount
) -> None:
    world.set_up()
    async with world.controller():
        await world.until_condition("token", "router")
    secret = world.secret()
    async with world.controller(bound_nowhere):
        await world.until_condition("token", "router", "SecretForbidden")
        assert isinstance(await world.update_with(secret, "192.0.2.1"), Updated)
        world.apply(world.document("Token", "router", account="alice", disabled=True))
        name = world.account("router")
        await until(lambda: world.node.state.tokens[name].value.spec.disabled, True, "disabled")
        assert await world.update_with(secret, "192.0.2.2") is Refusal.UNKNOWN_TOKEN
        await world.until_condition("token", "router", "SecretForbidden")


async def test_a_secret_that_is_gone_keeps_no_token_from_being_disabled(running: World) -> None:
    put_secret(running, "mine", running.mine)
    running.apply(running.document("Token", "mine", account="alice", secretRef={"name": "mine"}))
    await running.until_condition("token", "mine")
    running.kubectl("delete", "secret", "mine", "-n", running.namespace)
    await running.until_condition("token", "mine", "SecretNotFound")
    assert isinstance(await running.update_with(running.mine, "192.0.2.1"), Updated)
    spec: dict[str, Any] = {"secretRef": {"name": "mine"}, "disabled": True}
    running.apply(running.document("Token", "mine", account="alice", **spec))
    name = running.account("mine")
    await until(lambda: running.node.state.tokens[name].value.spec.disabled, True, "disabled")


async def test_a_token_made_again_for_another_account_inherits_no_secret(
    world: World, bound_nowhere: ServiceAccount
) -> None:
    world.set_up()
    async with world.controller():
        await world.until_condition("token", "router")
    world.kubectl("delete", "token.ddnsd.dev", "router", "-n", world.namespace)
    world.apply(world.document("Account", "bob"), world.document("Token", "router", account="bob"))
    async with world.controller(bound_nowhere):
        await world.until_condition("token", "router", "SecretForbidden")
        assert world.node.state.tokens[world.account("router")].value.spec.account == world.account("alice")


async def test_a_new_controller_says_nothing_of_what_it_has_not_looked_at(world: World) -> None:
    """An accepted Token stays so in its status, while many others' Secrets are looked at."""
    world.set_up()
    async with world.controller():
        await world.until_condition("token", "router")
    before = world.get("token", "router")["status"]["conditions"]
    async with world.controller():
        world.apply(world.document("Token", "second", account="alice"))
        await world.until_condition("token", "second")
    assert world.get("token", "router")["status"]["conditions"] == before


def _is_new(world: World, name: str, old: str) -> bool:
    found = world.kubectl.run("get", "secret", name, "-n", world.namespace)
    return found.returncode == 0 and world.secret() != old


async def _settled(world: World) -> Told:
    """Return the answer once the new secret is known."""
    answer: Told = Refusal.UNKNOWN_TOKEN

    async def is_known() -> bool:
        nonlocal answer
        answer = await world.update("192.0.2.1")
        return answer is not Refusal.UNKNOWN_TOKEN

    await until_holds(is_known)
    return answer


async def test_a_look_at_a_secret_makes_no_handshake_of_its_own(world: World) -> None:
    world.set_up()
    async with counting(world.rig.address) as proxy:
        world.server = proxy.url
        async with world.controller():
            await world.until_condition("token", "router")
            before, looks = proxy.accepted, world.reads("secrets")
            await until(lambda: world.reads("secrets") >= looks + 3, True, "three looks at the Secret")
            # Every watch has ended in that time, too, and each of its successors took a kept connection.
            assert proxy.accepted == before
