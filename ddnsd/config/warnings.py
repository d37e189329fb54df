"""What is allowed but unwise, and what files a start refuses, for the log and for `ddnsd check`."""

import ipaddress
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from ddnsd import files
from ddnsd.config.nameservers import Rfc2136NameserverSettings
from ddnsd.config.settings import EtcdSettings, Settings

EXPOSED_REMEDY = "or set data_check: warn, on a file system that has no modes"
_EVERY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104 - what is warned of
_OTHERS = stat.S_IRWXO
_TOO_OPEN = stat.S_IRWXO | stat.S_IWGRP  # a group may read: systemd and Kubernetes hand secrets over that way


def warnings(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each secret that more people can read than should, and each part out of place."""
    for path in _secret_files(settings):
        # A volume's group may write everything in it: it is Kubernetes' (fsGroup).
        too_open = _OTHERS if path.is_relative_to(settings.data) else _TOO_OPEN
        if _mode(path) & too_open:
            yield f"{path} holds a secret and is open to others: chmod 600 {path}"
    yield from _open_folder(settings)
    if settings.listen.admin.host in _EVERY_ADDRESS:
        yield (
            "listen.admin: the admin API listens on every address of this machine, without TLS: "
            "write 127.0.0.1, or let a firewall and a proxy with TLS guard it"
        )
    etcd = settings.store.etcd
    if etcd and etcd.password_file and etcd.is_plain:
        yield "store.etcd: the password crosses the network in plain text: write https:// in endpoints"
    elif etcd and any(map(_is_plain_and_remote, etcd.endpoints)) and etcd.tls is None:
        yield (
            "store.etcd: all that is stored crosses the network in plain text, and who reaches etcd can "
            "change it: write https:// in endpoints"
        )
    if etcd:
        for name in settings.embedded_nameservers:
            yield (
                f"nameservers.{name}: an embedded nameserver serves what its own node publishes, and only "
                "while that one leads: beside other nodes use one of kind rfc2136"
            )


def exposures(settings: Settings, *, owner: bool = True) -> Iterator[str]:
    """Yield a sentence for each reason why others could take ddnsd over by its files.

    What lies above the data folder is the operator's affair. With `owner` the files also have to belong to
    this process's user or to root, which is not to be asked where somebody else checks a configuration.
    """
    token = settings.admin.token_file or settings.default_admin_token_file
    for path in (settings.data, token, *(each.file for each in settings.admin.tokens)):
        if found := files.exposure(path, owner=owner):
            yield found


def is_remote(url: str) -> bool:
    """Say whether the host of a URL, or of `host:port`, is or may be another machine."""
    host = urlsplit(url if "://" in url else f"//{url}").hostname or ""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost" and not host.endswith(".localhost")


def _open_folder(settings: Settings) -> Iterator[str]:
    """Yield that everybody may add to a data folder with the sticky bit."""
    if _mode(settings.data) & stat.S_IWOTH and not files.exposure(settings.data, owner=False):
        yield f"everybody may put files into {settings.data}: chmod o-w {settings.data}"


def _mode(path: Path) -> int:
    """Return a file's mode, 0 where there is none to be seen."""
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _secret_files(settings: Settings) -> Iterator[Path]:
    yield settings.admin.token_file or settings.default_admin_token_file
    for token in settings.admin.tokens:
        yield token.file
    if settings.store.etcd:
        yield from _etcd_files(settings.store.etcd)
    if settings.listen.tls:
        yield settings.listen.tls.key.path
    for nameserver in settings.nameservers.values():
        if isinstance(nameserver, Rfc2136NameserverSettings):
            yield nameserver.key.secret_file.path


def _is_plain_and_remote(endpoint: str) -> bool:
    return not endpoint.startswith("https://") and is_remote(endpoint)


def _etcd_files(etcd: EtcdSettings) -> Iterator[Path]:
    if etcd.password_file:
        yield etcd.password_file.path
    if etcd.tls and etcd.tls.key:
        yield etcd.tls.key.path
