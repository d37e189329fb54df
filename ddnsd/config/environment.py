"""Environment variables over config.yaml: `DDNSD_` and a setting's path, in upper case, joined by `_`."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ddnsd.config.annotation import Section
from ddnsd.config.document import Raw, plain_value
from ddnsd.config.mistakes import Mistake, Path, did_you_mean
from ddnsd.config.schema import Shape, leaves

PREFIX = "DDNSD_"
CLIENT_VARIABLES = frozenset({"DDNSD_CONFIG", "DDNSD_SERVER"})
"""Variables of the command line. Its DDNSD_ADMIN_TOKEN_FILE is also the setting `admin.token_file`."""

# Kubernetes gives every container the addresses of its namespace's services, one of them named like us:
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_SERVICE_LINK = re.compile(r"DDNSD_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://.*")


def overlay(
    tree: type[Section], raw: dict[str, Raw], environ: Mapping[str, str], mistakes: list[Mistake]
) -> Mapping[Path, str]:
    """Write the variables' values into the plain values; return which path came from which variable.

    An empty variable counts as not set. An unknown one is a mistake, and its value is not shown.
    """
    known = _variables(tree, raw)
    origins = {}
    for name, text in sorted(_ours(environ)):
        places = known.get(name, {})
        if len(places) != 1:
            mistakes.append(Mistake((name,), "", _remedy(name, known, places, raw)))
        elif not text.isprintable():
            mistakes.append(Mistake((name,), "", "has characters that cannot be printed"))
        else:
            ((path, form),) = places.items()
            _put(raw, path, _plain(form, text))
            origins[path] = name
    return origins


def variable(path: Path) -> str:
    """Return the name of the variable that overrides a setting."""
    return PREFIX + "_".join(path).upper().replace("-", "_")


def _variables(tree: type[Section], raw: dict[str, Raw]) -> Mapping[str, dict[Path, Shape]]:
    known: dict[str, dict[Path, Shape]] = {}
    for path, form in leaves(tree, (), raw):
        known.setdefault(variable(path), {})[path] = form
    return known


def _ours(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, text in environ.items():
        linked = _SERVICE_LINK.fullmatch(name) or _SERVICE_URL.fullmatch(text)
        if name.startswith(PREFIX) and text and name not in CLIENT_VARIABLES and not linked:
            yield name, text


def _remedy(
    name: str, known: Mapping[str, object], places: Mapping[Path, object], raw: Mapping[str, Raw]
) -> str:
    if places:
        return f"means each of {', '.join(map('.'.join, places))}: set it in config.yaml instead"
    written = raw.get("nameservers")
    names = sorted(written) if isinstance(written, dict) else []
    if absent := _absent_nameserver(name, known, names):
        return f"there is no nameserver {absent!r} in the file; known: {', '.join(names)}"
    return f"unknown variable; {did_you_mean(name, known)}"


def _absent_nameserver(name: str, known: Iterable[str], names: Iterable[str]) -> str:
    """Return which nameserver a variable is for, by its end; "" if it is for one of these, or for none."""
    prefixes = tuple(variable(("nameservers", each)) + "_" for each in names)
    group = variable(("nameservers",)) + "_"
    if not name.startswith(group) or name.startswith(prefixes):
        return ""
    ends = {each.removeprefix(prefix) for prefix in prefixes for each in known if each.startswith(prefix)}
    rests = [name.removesuffix(f"_{end}") for end in ends if name.endswith(f"_{end}")]
    shortest = min(rests, key=len, default="")  # without CONNECT_TIMEOUT rather than TIMEOUT
    return shortest.removeprefix(group).lower().replace("_", "-")


def _plain(form: Shape, text: str) -> Raw:
    if form.kind is tuple:
        return [part.strip() for part in text.split(",")]
    value = plain_value(text)
    return value if form.kind in (int, float) and value is not None else text


def _put(raw: dict[str, Raw], path: Path, value: Raw) -> None:
    *groups, key = path
    node: Any = raw
    for group in groups:
        node[group] = {} if node.get(group) is None else node[group]
        node = node[group]
        if not isinstance(node, dict):  # a mistake in config.yaml that the walk reports
            return
    node[key] = value
