"""The CustomResourceDefinitions, derived from the types of the admin API's documents.

`script/chart` writes them into the chart. Their schemas are structural, as Kubernetes wants it: each level
has its type, nothing is said by composition alone, and there are neither references nor null
(kubernetes.io, "Extend the Kubernetes API with CustomResourceDefinitions", "Specifying a structural
schema"). What Kubernetes has beside the types is here: `Zone.spec.namespaces`, `Token.spec.secretRef`, the
rules in CEL, the columns of `kubectl get`. v1alpha1 changes only by additions: objects of users are stored
in it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ddnsd.config.reader import fields, remedy, shape
from ddnsd.kube.objects import GROUP, VERSION
from ddnsd.kube.status import STATUSES
from ddnsd.model.resources import SPECS, HostSpec, Kind
from ddnsd.service.documents import MAX_WILDCARD_NAME, MAX_ZONE_NAME

Schema = dict[str, Any]
_REFERENCE = "#/{name}"


def structural(type: Any) -> Schema:
    """Return the schema of a type's JSON form; an optional value is an absent one, never null."""
    schema, components = msgspec.json.schema_components((type,), ref_template=_REFERENCE)
    return _structural(schema[0], components)


def without_defaults(schema: Schema) -> Schema:
    """Return the schema of what is only ever written whole, as a status is: it needs no defaults."""
    made = {key: value for key, value in schema.items() if key != "default"}
    if "properties" in made:
        made["properties"] = {name: without_defaults(value) for name, value in made["properties"].items()}
    if "items" in made:
        made["items"] = without_defaults(made["items"])
    return made


def _structural(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Schema:
    if "$ref" in schema:
        return _structural(components[schema["$ref"].removeprefix("#/")], components)
    if "anyOf" in schema:
        return _structural(_present(schema), components)
    made = {key: value for key, value in schema.items() if key not in ("title", "required", "properties")}
    if "enum" in made:
        made.setdefault("type", "string")
    if "items" in made:
        made["items"] = _structural(made["items"], components)
    properties = schema.get("properties", {})
    if properties:
        made["properties"] = {name: _property(value, components) for name, value in properties.items()}
    if required := [name for name in schema.get("required", ()) if "anyOf" not in properties[name]]:
        made["required"] = required
    return made


def _property(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Schema:
    made = _structural(schema, components)
    default = schema.get("default")
    if default is not None:
        made["default"] = list(default) if isinstance(default, tuple) else default
    return made


def _present(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an optional value is where there is one."""
    present: Mapping[str, Any]
    (present,) = (option for option in schema["anyOf"] if option != {"type": "null"})
    return present


CATEGORY = "ddnsd"
SECRET_KEY = "token"  # noqa: S105 - the name of a field
MAX_TOKEN_NAME = 200  # characters: the Secret's name is longer

_LISTS = ("families", "hosts", "namespaces", "reserved", "scopes")
_GROUP = "[0-9a-fA-F]{1,4}"
# An IPv6 address whose first four groups are zero and whose others are not all: `service.documents`, without
# dotted quads. Kubernetes has had functions for addresses since 1.31 only.
SUFFIX = f"^(::({_GROUP}:){{0,3}}|(0{{1,4}}:){{4}}({_GROUP}:){{3}}){_GROUP}$"
_LABEL = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
PATTERN = f"^(\\*|(\\*\\.)?{_LABEL}(\\.{_LABEL})*)$"  # of names, in `Zone.spec.namespacePatterns`
SUBNET = "^[0-9a-fA-F]{1,12}$"


def _host_remedy(field: str) -> str:
    return remedy(shape(fields(HostSpec)[field].type))


def _rule(rule: str, message: str) -> Schema:
    """Return a CEL rule: what must hold, and what the user is shown otherwise."""
    return {"rule": rule, "message": message}


def _column(name: str, type: str, path: str) -> Schema:
    """Return a column of `kubectl get`."""
    return {"name": name, "type": type, "jsonPath": path}


_WIDE = {"priority": 1}  # a column that only `-o wide` shows
_ACCEPTED = _column("Accepted", "string", '.status.conditions[?(@.type=="Accepted")].reason')
_AGE = _column("Age", "date", ".metadata.creationTimestamp")

COLUMNS: dict[Kind, Sequence[Schema]] = {
    Kind.ZONE: (
        _column("Nameserver", "string", ".spec.nameserver"),
        _column("TTL", "integer", ".spec.ttl"),
        _column("Enabled", "boolean", ".spec.enabled"),
        _ACCEPTED,
        _column("Namespaces", "string", ".spec.namespaces") | _WIDE,
        _AGE,
    ),
    Kind.ACCOUNT: (_column("Status", "string", ".spec.status"), _ACCEPTED, _AGE),
    Kind.HOST: (
        _column("Address", "string", ".status.address"),
        _column("Family", "string", ".status.family"),
        _column("Changed", "date", ".status.changed"),
        _column("Published", "string", ".status.published"),
        _ACCEPTED,
        _column("Account", "string", ".spec.account") | _WIDE,
        _column("Enabled", "boolean", ".spec.enabled") | _WIDE,
        _AGE | _WIDE,
    ),
    Kind.TOKEN: (
        _column("Account", "string", ".spec.account"),
        _column("Secret", "string", ".status.secretName"),
        _column("Expires", "string", ".spec.expires"),
        _column("Disabled", "boolean", ".spec.disabled"),
        _ACCEPTED,
        _AGE,
    ),
}
SHORT_NAMES = {Kind.ZONE: "dz", Kind.ACCOUNT: "da", Kind.HOST: "dh", Kind.TOKEN: "dt"}

OBJECT_RULES: dict[Kind, Sequence[Schema]] = {
    Kind.ZONE: (
        _rule(
            f"size(self.metadata.name) <= {MAX_ZONE_NAME}",
            f"a zone's name leaves room for the names in it: {MAX_ZONE_NAME} characters at most",
        ),
    ),
    Kind.ACCOUNT: (),
    Kind.HOST: (
        _rule("self.metadata.name.contains('.')", "a host is named by its whole DNS name: blog.example.com"),
        _rule(
            f"!self.spec.wildcard || size(self.metadata.name) <= {MAX_WILDCARD_NAME}",
            f"a host with wildcard leaves room for *. before it: {MAX_WILDCARD_NAME} characters at most",
        ),
    ),
    Kind.TOKEN: (
        _rule(
            f"size(self.metadata.name) <= {MAX_TOKEN_NAME}",
            f"a token's name has {MAX_TOKEN_NAME} characters at most",
        ),
    ),
}
SPEC_RULES: dict[Kind, Sequence[Schema]] = {
    Kind.ZONE: (),
    Kind.ACCOUNT: (
        _rule(
            "!has(self.suspendedUntil) || self.status == 'suspended'",
            "suspendedUntil is only for status: suspended; leave it out, or write that",
        ),
    ),
    Kind.HOST: (
        _rule(
            f"!has(self.ipv6Suffix) || self.ipv6Suffix.matches('{SUFFIX}')"
            " && self.ipv6Suffix.matches('[1-9a-fA-F]')",
            f"ipv6Suffix: {_host_remedy('ipv6Suffix')}",
        ),
        _rule(
            f"!has(self.ipv6Subnet) || self.ipv6Subnet.matches('{SUBNET}')",
            f"ipv6Subnet: {_host_remedy('ipv6Subnet')}",
        ),
        _rule(
            "!has(self.ipv6Subnet) || has(self.ipv6Suffix)",
            "ipv6Subnet is only for a host with ipv6Suffix; leave it out, or write that, too",
        ),
        _rule(
            "!has(self.ipv6Suffix) || 'AAAA' in self.families",
            "ipv6Suffix is only for a host with AAAA in families; leave it out, or add that",
        ),
    ),
    Kind.TOKEN: (
        _rule(
            "!(has(self.sha256) && has(self.secretRef))",
            "write sha256 or secretRef, or neither: then ddnsd makes a Secret",
        ),
        _rule(
            "self.account == oldSelf.account",
            "a token stays its account's: make another token for another account",
        ),
    ),
}
# What exists on Kubernetes only.
EXTRA: dict[Kind, dict[str, Schema]] = {
    Kind.ZONE: {
        "namespaces": {
            "type": "array",
            "description": 'namespaces whose Hosts may lie in the zone; ["*"]: all; absent: none',
            "items": {"type": "string", "minLength": 1},
        },
        "namespacePatterns": {
            "type": "object",
            "description": "by namespace: patterns of the names that its Hosts may have, without the zone; "
            "home is that name, *.home all below it",
            "additionalProperties": {
                "type": "array",
                "maxItems": 64,
                "items": {"type": "string", "maxLength": 253, "pattern": PATTERN},
                "x-kubernetes-list-type": "set",
            },
        },
    },
    Kind.ACCOUNT: {},
    Kind.HOST: {},
    Kind.TOKEN: {
        "secretRef": {
            "type": "object",
            "description": (
                "a Secret of this namespace that holds the token's secret, with the label "
                'ddnsd.dev/token-source: "true" (or of the type ddnsd.dev/token); ddnsd only reads it'
            ),
            "properties": {
                "name": {"type": "string", "minLength": 1, "description": "the Secret's name"},
                "key": {
                    "type": "string",
                    "minLength": 1,
                    "default": SECRET_KEY,
                    "description": "the key in its data",
                },
            },
            "required": ["name"],
        }
    },
}


def definition(kind: Kind) -> dict[str, Any]:
    """Return the CustomResourceDefinition of a kind."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Cluster" if kind is Kind.ZONE else "Namespaced",
            "names": {
                "kind": kind.value,
                "listKind": f"{kind.value}List",
                "plural": kind.plural,
                "singular": kind.value.lower(),
                "shortNames": [SHORT_NAMES[kind]],
                "categories": [CATEGORY],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _object(kind)},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [*COLUMNS[kind]],
                }
            ],
        },
    }


def spec_schema(kind: Kind) -> Schema:
    """Return the schema of a kind's `spec`: that of the documents, and what Kubernetes has beside it."""
    schema = structural(SPECS[kind])
    properties = schema["properties"] | EXTRA[kind]
    for name in _LISTS:
        if name in properties:
            properties[name] |= {"x-kubernetes-list-type": "set"}
    schema["properties"] = properties
    if kind is Kind.TOKEN:
        schema["required"] = [name for name in schema["required"] if name != "sha256"]
    return schema | _validations(SPEC_RULES[kind])


def _object(kind: Kind) -> Schema:
    spec = spec_schema(kind)
    required = bool(spec.get("required"))
    status = without_defaults(structural(STATUSES[kind]))
    status["properties"]["conditions"] |= {
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    }
    return {
        "type": "object",
        "description": spec["description"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec if required else spec | {"default": {}},
            "status": status,
        },
        **({"required": ["spec"]} if required else {}),
        **_validations(OBJECT_RULES[kind]),
    }


def _validations(rules: Sequence[Schema]) -> Schema:
    return {"x-kubernetes-validations": [*rules]} if rules else {}
