"""What is allowed but unwise, for the log and for `ddnsd check`."""

import stat
from collections.abc import Iterator
from pathlib import Path

from .etcd import EtcdSettings
from .nameservers import Rfc2136Nameserver
from .tree import Settings

_TOO_OPEN = stat.S_IRWXO | stat.S_IWGRP  # a group may read: systemd and Kubernetes hand secrets over that way


def remarks(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each secret that more people can read than should, and each part out of place."""
    for path in _secret_files(settings):
        if path.exists() and path.stat().st_mode & _TOO_OPEN:
            yield f"{path} holds a secret and is open to others: chmod 600 {path}"
    etcd = settings.store.etcd
    if etcd and etcd.password_file and etcd.is_plain:
        yield "store.etcd: the password crosses the network in plain text: write https:// in endpoints"
    if etcd:
        for name in settings.embedded_nameservers:
            yield (
                f"nameservers.{name}: an embedded nameserver serves what its own node publishes, and only "
                "while that one leads: beside other nodes use one of kind rfc2136"
            )


def _secret_files(settings: Settings) -> Iterator[Path]:
    if settings.admin.token_file:
        yield settings.admin.token_file
    if settings.store.etcd:
        yield from _etcd_files(settings.store.etcd)
    if settings.listen.tls:
        yield settings.listen.tls.key.path
    for nameserver in settings.nameservers.values():
        if isinstance(nameserver, Rfc2136Nameserver):
            yield nameserver.key.secret_file.path


def _etcd_files(etcd: EtcdSettings) -> Iterator[Path]:
    if etcd.password_file:
        yield etcd.password_file.path
    if etcd.tls and etcd.tls.key:
        yield etcd.tls.key.path
