"""certbot and lego get certificates of Pebble through ddnsd, as docs/clients/certificates.md says."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
import yaml

from tests.clients import recipes
from tests.clients.internet import AUTHORITY, Internet
from tests.clients.outcomes import Client, Fact, Outcome, Scenario, shows
from tests.clients.packages import ROOT, program
from tests.clients.recipes import Recipe
from tests.rigs.home import Done, Home
from tests.rigs.pebble import PORT, PebbleRig

HOST, WILDCARD = "blog.example.com", "*.blog.example.com"
CHALLENGE = "_acme-challenge.blog.example.com"
DIRECTORY = f"https://{AUTHORITY}:{PORT}/dir"
PAGE = recipes.read("certificates")
REGISTRATION = PAGE[""]  # what stands before the first client
CERTBOT_DONE = "Successfully received certificate."
LEGO_DONE = "Server responded with a certificate."

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module", autouse=True)
def pebble(internet: Internet) -> Iterator[PebbleRig]:
    """A certificate authority beside ddnsd, which asks BIND."""
    files, provider = internet.certificates.folder, internet.provider
    resolver = f"{provider.address}:53"
    with PebbleRig(provider, resolver, files / "server.pem", files / "server.key") as pebble:
        yield pebble


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def registration(internet: Internet) -> AsyncIterator[str]:
    """What the page's command makes and prints, once: a token that may answer the challenges of `HOST`."""
    command = REGISTRATION.commands("token create").partition(" > ")[0]
    ddnsd = internet.ddnsd
    process = await asyncio.create_subprocess_shell(
        command.replace("ddnsd", f"{sys.executable} -m ddnsd", 1),
        stdout=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "DDNSD_SERVER": f"http://{ddnsd.addresses['admin']}",
            "DDNSD_ADMIN_TOKEN_FILE": str(ddnsd.data / "admin-token"),
            "PYTHONPATH": str(ROOT),
        },
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    yield printed.decode()


def prepare(home: Home, title: str, registration: str) -> Recipe:
    """Write a recipe's files, and the registration where the recipe has it; return the recipe."""
    recipe = PAGE[title]
    (account,) = json.loads(registration).values()
    recipe.write(home, account["password"])
    for folder in ("letsencrypt", "lego"):
        home.write(f"/etc/{folder}/acme-dns.json", registration)
    return recipe


async def certbot(home: Home, registration: str, title: str = "certbot", *, wildcard: bool = False) -> Done:
    """Run it; it does not wait for secondaries, as there are none: ddnsd's answer has to be enough."""
    command = prepare(home, title, registration).commands("certonly")
    command = command.replace("certbot", program("certbot"), 1).replace("-seconds 5", "-seconds 0")
    new = f"--server {DIRECTORY} --non-interactive --agree-tos --register-unsafely-without-email"
    return await home.sh(f"{_chosen(command, f' -d {WILDCARD!r}', wildcard)} {new}")


async def lego(home: Home, registration: str, *, wildcard: bool = False) -> Done:
    command = prepare(home, "lego", registration).commands("EXEC_PATH")
    chosen = _chosen(command, f" --domains {WILDCARD!r}", wildcard)
    return await home.sh(chosen.replace("lego --path", f"lego --server {DIRECTORY} --path", 1))


def _chosen(command: str, part: str, wanted: bool) -> str:
    """Return the command with this part, or without."""
    assert part in command
    return command if wanted else command.replace(part, "")


async def names(home: Home, certificate: str) -> set[str]:
    """Return the names in one of the home's certificates."""
    shown = await home.run("openssl", "x509", "-in", certificate, "-noout", "-ext", "subjectAltName")
    return {part.strip().removeprefix("DNS:") for part in shown.text.splitlines()[-1].split(",")}


def says(done: Done, words: str) -> str:
    assert words in done.text, done.text
    return words


async def test_the_registration_is_as_the_page_shows_it(registration: str) -> None:
    shown = json.loads(REGISTRATION.block("json").text)
    made = json.loads(registration)
    assert len(made[HOST].pop("password")) > 20
    assert shown[HOST].pop("password") == recipes.TOKEN
    assert made == shown


@shows(Client.CERTBOT, Scenario.CERTIFICATE)
async def test_certbot(home: Home, registration: str, outcome: Outcome) -> None:
    done = await certbot(home, registration)
    said = says(done, CERTBOT_DONE)
    assert await names(home, f"/etc/letsencrypt/live/{HOST}/cert.pem") == {HOST}
    outcome.tell(said, Fact.ISSUED, code=done.code)
    assert done.code == 0


@shows(Client.CERTBOT, Scenario.WILDCARD)
async def test_certbot_wildcard(internet: Internet, home: Home, registration: str, outcome: Outcome) -> None:
    done = await certbot(home, registration, wildcard=True)
    said = says(done, CERTBOT_DONE)
    assert await names(home, f"/etc/letsencrypt/live/{HOST}/cert.pem") == {HOST, WILDCARD}
    assert len(await internet.nameserver.query(CHALLENGE, "TXT")) == 2
    outcome.tell(said, Fact.ISSUED, Fact.TWO_VALUES, code=done.code)
    assert done.code == 0


@shows(Client.CERTBOT, Scenario.WRONG_TOKEN)
async def test_certbot_with_a_wrong_token(home: Home, registration: str, outcome: Outcome) -> None:
    """The plugin tells all that it has sent; the page warns of that."""
    wrong = json.loads(registration)
    wrong[HOST]["password"] = "wrong-secret"
    done = await certbot(home, json.dumps(wrong))
    said = says(done, "Response HTTP status: 401")
    says(done, "wrong-secret")
    outcome.tell(said, code=done.code)
    assert done.code == 1


@shows(Client.CERTBOT, Scenario.NAMESERVER_DOWN)
async def test_certbot_without_a_nameserver(
    internet: Internet, home: Home, registration: str, outcome: Outcome
) -> None:
    async with internet.without_nameserver():
        done = await certbot(home, registration)
    said = says(done, "Response HTTP status: 500")
    says(await certbot(home, registration), CERTBOT_DONE)
    outcome.tell(said, Fact.AGAIN_BY_HAND, code=done.code)
    assert done.code == 1


@shows(Client.CERTBOT_MULTI, Scenario.WILDCARD)
async def test_certbot_with_lego_inside(
    internet: Internet, home: Home, registration: str, outcome: Outcome
) -> None:
    done = await certbot(home, registration, "certbot-dns-multi", wildcard=True)
    said = says(done, CERTBOT_DONE)
    assert await names(home, f"/etc/letsencrypt/live/{HOST}/cert.pem") == {HOST, WILDCARD}
    assert len(await internet.nameserver.query(CHALLENGE, "TXT")) == 2
    outcome.tell(said, Fact.ISSUED, Fact.TWO_VALUES, code=done.code)
    assert done.code == 0


@shows(Client.LEGO, Scenario.CERTIFICATE)
async def test_lego(home: Home, registration: str, outcome: Outcome) -> None:
    done = await lego(home, registration)
    said = says(done, LEGO_DONE)
    assert await names(home, f"/etc/lego/certificates/{HOST}.crt") == {HOST}
    outcome.tell(said, Fact.ISSUED, code=done.code)
    assert done.code == 0


@shows(Client.LEGO, Scenario.WILDCARD)
async def test_lego_wildcard(internet: Internet, home: Home, registration: str, outcome: Outcome) -> None:
    done = await lego(home, registration, wildcard=True)
    said = says(done, LEGO_DONE)
    assert await names(home, f"/etc/lego/certificates/{HOST}.crt") == {HOST, WILDCARD}
    assert len(await internet.nameserver.query(CHALLENGE, "TXT")) == 2
    outcome.tell(said, Fact.ISSUED, Fact.TWO_VALUES, code=done.code)
    assert done.code == 0


@shows(Client.LEGO, Scenario.WRONG_TOKEN)
async def test_lego_with_a_wrong_token(home: Home, registration: str, outcome: Outcome) -> None:
    wrong = json.loads(registration)
    wrong[HOST]["password"] = "wrong-secret"
    done = await lego(home, json.dumps(wrong))
    says(done, '{"error":"forbidden"}')
    said = says(done, "The requested URL returned error: 401")
    assert "wrong-secret" not in done.text
    outcome.tell(said, code=done.code)
    assert done.code == 1


async def test_legos_own_provider_has_the_same_settings() -> None:
    """Debian's lego cannot run these lines; certbot-dns-multi, which has lego inside, runs them above."""
    exported = PAGE["lego"].commands("--dns acme-dns").splitlines()[0].removeprefix("export ").split()
    multi = PAGE["certbot-dns-multi"].block("ini").text.replace(" = ", "=").splitlines()
    assert [line.replace("/lego/", "/letsencrypt/") for line in exported] == multi[1:]


async def test_cert_manager(internet: Internet, home: Home, registration: str) -> None:
    """What it sends (goacmedns, as in lego), with what its objects lead to."""
    recipe = PAGE["cert-manager"]
    issuer, certificate = yaml.safe_load_all(recipe.block("yaml").text)
    (solver,) = issuer["spec"]["acme"]["solvers"]
    reference = solver["dns01"]["acmeDNS"]["accountSecretRef"]
    made = recipe.commands("kubectl").removeprefix("kubectl create secret generic ").split()
    assert made == [reference["name"], "--from-file", reference["key"]]
    assert certificate["spec"]["issuerRef"]["name"] == issuer["metadata"]["name"]
    account = json.loads(registration)[certificate["spec"]["dnsNames"][0]]
    value = "LPsIwTo7o8BoG0-vjCyGQGBWSVIPxI-i_X336eUOQZo"
    body = json.dumps({"subdomain": account["subdomain"], "txt": value})
    headers = (f"X-Api-User: {account['username']}", f"X-Api-Key: {account['password']}")
    url = f"{solver['dns01']['acmeDNS']['host']}/update"
    done = await home.run(
        "curl",
        "-sS",
        "-H",
        headers[0],
        "-H",
        headers[1],
        "-H",
        "Content-Type: application/json",
        "-d",
        body,
        url,
    )
    assert json.loads(done.text) == {"txt": value}
    assert await internet.nameserver.query(CHALLENGE, "TXT") == (f'"{value}"',)
