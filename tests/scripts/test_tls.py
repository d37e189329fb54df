"""https: the server has to be the one that the URL names, and the token goes nowhere else."""

from pathlib import Path

import pytest

from tests.rigs.certificates import Certificates
from tests.scripts.script import Ended, Script
from tests.system.installation import Installation, example

NAME = "blog.example.com"


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path / "tls")


async def update(
    script: Script, folder: Path, certificates: Certificates, token_file: Path, *more: str
) -> tuple[Ended, int]:
    """Run it against a ddnsd with TLS; return how it ended, and how many updates came."""
    files = certificates.folder
    tls = {"certificate": str(files / "server.pem"), "key": str(files / "server.key")}
    listen = dict.fromkeys(("public", "admin", "health"), "127.0.0.1:0")
    (folder / "ddnsd").mkdir()
    async with Installation(folder / "ddnsd", listen={**listen, "tls": tls}) as ddnsd:
        await ddnsd.apply(*example([NAME]))
        server = f"https://{ddnsd.addresses['public']}"
        given = ("-s", server, "-t", str(token_file), "--max-time", "1", "-f", "4", *more, NAME)
        ended = await script.run(*given)
        return ended, len(ddnsd.events("update.done")) + len(ddnsd.events("update.refused"))


async def test_a_trusted_server(
    script: Script, tmp_path: Path, certificates: Certificates, token_file: Path
) -> None:
    trusted = ("--cacert", str(certificates.folder / "ca.pem"))
    ended, updates = await update(script, tmp_path, certificates, token_file, *trusted)
    assert (ended, updates) == ((0, f"{NAME}: A 127.0.0.1 (new)\n", ""), 1)


@pytest.mark.parametrize("mistake", ["unknown authority", "expired"])
async def test_a_server_that_cannot_be_trusted(
    script: Script, tmp_path: Path, certificates: Certificates, token_file: Path, mistake: str
) -> None:
    if mistake == "expired":
        certificates.renew("server", -1)
    more = ("--cacert", str(certificates.folder / "ca.pem")) if mistake == "expired" else ()
    ended, updates = await update(script, tmp_path, certificates, token_file, "--ip", "192.0.2.7", *more)
    assert (ended.code, ended.out) == (3, "")
    assert "certificate" in ended.err
    assert updates == 0
