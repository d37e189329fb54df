"""What shall become of one object, given what is in the store. Pure.

Only references are judged here, as only Kubernetes has namespaces; who has a name, and all that one
commit has to be sure of, is judged by `service.registry` when it is committed.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NamedTuple

from ddnsd.kube.objects import Custom, Ref
from ddnsd.kube.status import ConditionType, Finding
from ddnsd.kube.translate import document_of, is_open_to
from ddnsd.model.records import Entry, Mark, Resource
from ddnsd.model.resources import HostSpec, Origin, Spec, TokenSpec, qualified
from ddnsd.model.state import State
from ddnsd.service import problems
from ddnsd.service.documents import Document

Zones = Mapping[str, Custom] | None


class Reason(StrEnum):
    """Why an object is accepted, or is not, where only Kubernetes has the reason; else `problems.Reason`."""

    ACCEPTED = "Accepted"
    PENDING = "Pending"
    NAMESPACE_NOT_ALLOWED = "NamespaceNotAllowed"
    SECRET_EXISTS = "SecretExists"  # noqa: S105 - no secret
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - no secret
    SECRET_INVALID = "SecretInvalid"  # noqa: S105 - no secret
    SECRET_FORBIDDEN = "SecretForbidden"  # noqa: S105 - no secret


class Refused(NamedTuple):
    """Why an object is not accepted. What is stored as `hold` takes no updates until it is; "": nothing.

    `document` is what shall stand in the store all the same.
    """

    reason: StrEnum
    message: str
    hold: str = ""
    document: Document | None = None

    @property
    def finding(self) -> Finding:
        """The condition that says so."""
        return Finding(ConditionType.ACCEPTED, holds=False, reason=self.reason, message=self.message)


ACCEPTED = Finding(ConditionType.ACCEPTED, holds=True, reason=Reason.ACCEPTED, message="ddnsd works by it")


class Digest(NamedTuple):
    """The SHA-256 of a Token's secret, or why there is none; and what else is to be said of its Secret."""

    text: str
    refused: Refused | None = None
    warnings: tuple[Finding, ...] = ()

    @property
    def is_steady(self) -> bool:
        """Say whether it is not to be expected that the next look finds another."""
        return self.refused is None or self.refused.reason is Reason.SECRET_FORBIDDEN


class _Reading(NamedTuple):
    """What was read of an object."""

    custom: Custom
    digest: str
    read: Document | Refused


class Judge:
    """Judges the objects of one Kubernetes cluster.

    `trusted` are the namespaces that were named to be watched: they may use the zones of the admin API.
    """

    def __init__(self, source: str, trusted: frozenset[str]) -> None:
        self._source = source
        self._trusted = trusted
        self._read: dict[Ref, _Reading] = {}

    def judge(
        self,
        custom: Custom,
        state: State,
        zones: Zones,
        digest_of: Callable[[Custom], Digest],
    ) -> Document | Refused:
        """Return what shall stand in the store, or why not.

        `zones` are the cluster's Zone objects by name, None where they are not read; `digest_of` knows the
        digests of Tokens' secrets.
        """
        if custom.unreadable:
            message = f"{custom.unreadable}: install ddnsd's CustomResourceDefinitions, then apply it again"
            return Refused(problems.Reason.INVALID, message)
        digest = digest_of(custom)
        if digest.refused is None:
            return self._read_and_refer(custom, digest.text, state, zones)
        stored = self._stored_token(custom, state)
        if stored is None:
            return digest.refused
        judged = self._read_and_refer(custom, stored.sha256, state, zones)
        if isinstance(judged, Refused):
            return judged
        if not isinstance(judged.spec, TokenSpec) or judged.spec.account != stored.account:
            return digest.refused  # made again under its name, for another account: it inherits no secret
        # All but its secret counts: whether a token is disabled must not depend on a Secret.
        return digest.refused._replace(document=judged)

    def forget(self, ref: Ref) -> None:
        """Forget what was read of an object that is gone."""
        self._read.pop(ref, None)

    def _read_and_refer(self, custom: Custom, digest: str, state: State, zones: Zones) -> Document | Refused:
        read = self._document(custom, digest)
        if isinstance(read, Refused):
            return read
        return self._reference_refusal(custom, read, state, zones) or read

    def _stored_token(self, custom: Custom, state: State) -> TokenSpec | None:
        """Return the token that was accepted of an object of this name."""
        origin = Origin(self._source, custom.ref.namespace)
        entry = state.tokens.get(qualified(origin, custom.ref.name))
        if entry is None or entry.value.origin != origin:
            return None
        return entry.value.spec

    def _document(self, custom: Custom, digest: str) -> Document | Refused:
        """Read an object, once: passes are many, and few objects change between two."""
        known = self._read.get(custom.ref)
        if known is not None and known.custom is custom and known.digest == digest:
            return known.read
        read: Document | Refused
        try:
            read = document_of(custom, self._source, digest)
        except problems.InvalidDocumentError as error:
            read = Refused(problems.Reason.INVALID, str(error))
        self._read[custom.ref] = _Reading(custom, digest, read)
        return read

    def _reference_refusal(
        self, custom: Custom, document: Document, state: State, zones: Zones
    ) -> Refused | None:
        """Return why something that the object refers to is not there for it."""
        spec, namespace = document.spec, custom.ref.namespace
        if isinstance(spec, HostSpec) and (
            refused := self._zone_refusal(document.name, namespace, state, zones)
        ):
            return refused
        if isinstance(spec, (HostSpec, TokenSpec)) and not _is_there(state.accounts.get(spec.account)):
            account = custom.spec["account"]
            message = (
                f"there is no accepted Account {account} in namespace {namespace}: create it, or name another"
            )
            return Refused(problems.Reason.ACCOUNT_NOT_FOUND, message, document.name)
        return None

    def _zone_refusal(self, host: str, namespace: str, state: State, zones: Zones) -> Refused | None:
        """Return why no zone takes this host.

        A zone that is stored but has no object now has not gone yet, and perhaps never will: its hosts go on.
        """
        zone = state.zone_of(host)
        if zone is None or not _is_there(state.zones.get(zone)):
            return Refused(problems.Reason.ZONE_NOT_FOUND, f"{host} lies in no zone: create its Zone", host)
        origin = state.zones[zone].value.origin
        if origin is not None and origin.source == self._source:
            if zones is None:
                return self._unread_zone_refusal(host, namespace, zone, state)
            if zone not in zones:
                message = f"the Zone {zone} is missing: create it again"
                return Refused(problems.Reason.ZONE_NOT_FOUND, message)
        if not self._may_use(namespace, zone, host, origin, zones or {}):
            message = (
                f"zone {zone} takes no {host} of namespace {namespace}: "
                "add that to the Zone's `namespaces`, or the name to its `namespacePatterns`"
            )
            return Refused(Reason.NAMESPACE_NOT_ALLOWED, message, host)
        return None

    def _unread_zone_refusal(self, host: str, namespace: str, zone: str, state: State) -> Refused | None:
        """Return why a host may not lie in a zone whose object is not read: one that does already goes on."""
        entry, origin = state.hosts.get(host), Origin(self._source, namespace)
        if entry is not None and entry.value.origin == origin and not entry.value.held:
            return None
        message = (
            f"zone {zone} is a Zone of this Kubernetes cluster, and Zones are not read here: watch all "
            "namespaces (kube.watch_namespaces), or let the controller list them"
        )
        return Refused(problems.Reason.ZONE_NOT_FOUND, message)

    def _may_use(
        self, namespace: str, zone: str, host: str, origin: Origin | None, zones: Mapping[str, Custom]
    ) -> bool:
        if origin is None:
            return namespace in self._trusted
        return origin.source == self._source and is_open_to(zones[zone], namespace, host)


def _is_there(entry: Entry[Resource[Spec]] | None) -> bool:
    return entry is not None and not entry.value.held and entry.value.mark is Mark.NONE
