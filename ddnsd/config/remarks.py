"""What is allowed but unwise, for the log and for `ddnsd check`."""

import stat
from collections.abc import Iterator
from pathlib import Path

from .nameservers import Rfc2136Nameserver
from .tree import Settings

_TOO_OPEN = stat.S_IRWXO | stat.S_IWGRP  # a group may read: systemd and Kubernetes hand secrets over that way


def remarks(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each secret file that more people can read than should."""
    for path in _secret_files(settings):
        if path.exists() and path.stat().st_mode & _TOO_OPEN:
            yield f"{path} holds a secret and is open to others: chmod 600 {path}"


def _secret_files(settings: Settings) -> Iterator[Path]:
    if settings.admin.token_file:
        yield settings.admin.token_file
    if settings.listen.tls:
        yield settings.listen.tls.key
    for nameserver in settings.nameservers.values():
        if isinstance(nameserver, Rfc2136Nameserver):
            yield nameserver.key.secret_file.path
