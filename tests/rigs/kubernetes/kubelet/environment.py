"""A container's variables, and what its command says of them."""

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

from tests.rigs.kubernetes.collection import Key
from tests.rigs.kubernetes.kubelet.volumes import NotYetError, Sources


def variables(pod: Mapping[str, Any], container: Mapping[str, Any], sources: Sources) -> dict[str, str]:
    """Return what `env` says.

    Raises:
        NotYetError: a ConfigMap or Secret of it is missing.
    """
    found: dict[str, str] = {}
    for variable in container.get("env", ()):
        value = (
            _value_from(pod, variable["valueFrom"], sources) if "valueFrom" in variable else variable["value"]
        )
        found[variable["name"]] = _expand(value, found)
    return found


def command(container: Mapping[str, Any], entrypoint: Sequence[str], known: Mapping[str, str]) -> list[str]:
    """Return what runs: `command` is in place of the image's entrypoint, `args` follow."""
    words = [*container.get("command", entrypoint), *container.get("args", ())]
    return [_expand(word, known) for word in words]


def _value_from(pod: Mapping[str, Any], source: Mapping[str, Any], sources: Sources) -> str:
    (kind,) = source
    reference = source[kind]
    namespace = pod["metadata"]["namespace"]
    if kind == "fieldRef":
        return str(_field(pod, reference["fieldPath"]))
    known = sources.config_maps if kind == "configMapKeyRef" else sources.secrets
    found = known.objects.get(Key(namespace, reference["name"]))
    if found is None:
        raise NotYetError(f"{reference['name']} is not there")
    text = found["data"][reference["key"]]
    return str(text) if kind == "configMapKeyRef" else b64decode(text).decode()


def _field(pod: Mapping[str, Any], path: str) -> Any:
    found: Any = pod
    for part in path.split("."):
        found = found[part]
    return found


def _expand(text: str, known: Mapping[str, str]) -> str:
    """Put variables in place of $(NAME); an unknown one stays, and $$ is a $."""

    def value(match: re.Match[str]) -> str:
        if match[0].startswith("$$"):
            return match[0][1:]
        return known.get(match[1], match[0])

    return re.sub(r"\$?\$\(([-._a-zA-Z0-9]+)\)", value, text)
