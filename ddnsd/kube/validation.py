"""What shall become of one object, given what is in the store. Pure.

Only references are validated here, as only Kubernetes has namespaces; who has a name, and all that one
commit has to be sure of, is validated by `service.registry` when it is committed.

The Secrets that hold the tokens' secrets: made for Tokens without a digest, read for all others.

Only a digest is ever kept here. Secrets are asked for one by one, by name: to list or watch them would
need the right to read every Secret of the cluster at once.
"""

import asyncio
import binascii
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec
import structlog

from ddnsd.aio import Trigger
from ddnsd.kube.api import (
    SECRETS,
    AlreadyExistsError,
    ApiClient,
    ForbiddenError,
    KubeError,
    ObjectNotFoundError,
)
from ddnsd.kube.objects import MANAGER, Custom, Ref
from ddnsd.kube.status import ConditionType, ConditionValue
from ddnsd.kube.translate import TokenSecret, document_of, follows_unlabelled, is_open_to, secret_of
from ddnsd.kube.views import Views
from ddnsd.model.records import Entry, Mark, Resource
from ddnsd.model.resources import (
    API_VERSION,
    HostSpec,
    InvalidSecretError,
    Kind,
    Origin,
    Spec,
    TokenSpec,
    digest,
    qualified,
    read_secret,
)
from ddnsd.model.state import State
from ddnsd.service import documents
from ddnsd.service.documents import Document

ZoneObjects = Mapping[str, Custom] | None


class RejectionReason(StrEnum):
    """Why an object is accepted, or is not, where only Kubernetes has the reason; else `documents.Reason`."""

    ACCEPTED = "Accepted"
    PENDING = "Pending"
    NAMESPACE_NOT_ALLOWED = "NamespaceNotAllowed"
    SECRET_EXISTS = "SecretExists"  # noqa: S105 - no secret
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - no secret
    SECRET_INVALID = "SecretInvalid"  # noqa: S105 - no secret
    SECRET_FORBIDDEN = "SecretForbidden"  # noqa: S105 - no secret


class InvalidObject(NamedTuple):
    """Why an object is not accepted. What is stored as `hold` takes no updates until it is; "": nothing.

    `document` is what shall stand in the store all the same.
    """

    reason: StrEnum
    message: str
    hold: str = ""
    document: Document | None = None

    @property
    def finding(self) -> ConditionValue:
        """The condition that says so."""
        return ConditionValue(ConditionType.ACCEPTED, holds=False, reason=self.reason, message=self.message)


ACCEPTED = ConditionValue(
    ConditionType.ACCEPTED, holds=True, reason=RejectionReason.ACCEPTED, message="ddnsd works by it"
)


class SecretDigest(NamedTuple):
    """The SHA-256 of a Token's secret, or why there is none; and what else is to be said of its Secret."""

    text: str
    refused: InvalidObject | None = None
    warnings: tuple[ConditionValue, ...] = ()

    @property
    def is_steady(self) -> bool:
        """Say whether it is not to be expected that the next look finds another."""
        return self.refused is None or self.refused.reason is RejectionReason.SECRET_FORBIDDEN


class Validator:
    """Judges the objects of one Kubernetes cluster.

    `trusted` are the namespaces that were named to be watched: they may use the zones of the admin API.
    """

    def __init__(self, source: str, trusted: frozenset[str]) -> None:
        self._source = source
        self._trusted = trusted
        self._read: dict[Ref, tuple[Custom, str, Document | InvalidObject]] = {}

    def validate(
        self,
        custom: Custom,
        state: State,
        zones: ZoneObjects,
        digest_of: Callable[[Custom], SecretDigest],
    ) -> Document | InvalidObject:
        """Return what shall stand in the store, or why not.

        `zones` are the cluster's Zone objects by name, None where they are not read; `digest_of` knows the
        digests of Tokens' secrets.
        """
        if custom.unreadable:
            message = f"{custom.unreadable}: install ddnsd's CustomResourceDefinitions, then apply it again"
            return InvalidObject(documents.Reason.INVALID, message)
        digest = digest_of(custom)
        if digest.refused is None:
            return self._read_and_refer(custom, digest.text, state, zones)
        stored = self._stored_token(custom, state)
        if stored is None:
            return digest.refused
        validated = self._read_and_refer(custom, stored.sha256, state, zones)
        if isinstance(validated, InvalidObject):
            return validated
        if not isinstance(validated.spec, TokenSpec) or validated.spec.account != stored.account:
            return digest.refused  # made again under its name, for another account: it inherits no secret
        # All but its secret counts: whether a token is disabled must not depend on a Secret.
        return digest.refused._replace(document=validated)

    def forget(self, ref: Ref) -> None:
        """Forget what was read of an object that is gone."""
        self._read.pop(ref, None)

    def _read_and_refer(
        self, custom: Custom, digest: str, state: State, zones: ZoneObjects
    ) -> Document | InvalidObject:
        read = self._document(custom, digest)
        if isinstance(read, InvalidObject):
            return read
        return self._reference_refusal(custom, read, state, zones) or read

    def _stored_token(self, custom: Custom, state: State) -> TokenSpec | None:
        """Return the token that was accepted of an object of this name."""
        origin = Origin(self._source, custom.ref.namespace)
        entry = state.tokens.get(qualified(origin, custom.ref.name))
        if entry is None or entry.value.origin != origin:
            return None
        return entry.value.spec

    def _document(self, custom: Custom, digest: str) -> Document | InvalidObject:
        """Read an object, once: passes are many, and few objects change between two."""
        if known := self._read.get(custom.ref):
            before, digest_before, read = known
            if before is custom and digest_before == digest:
                return read
        try:
            read = document_of(custom, self._source, digest)
        except documents.InvalidDocumentError as error:
            read = InvalidObject(documents.Reason.INVALID, str(error))
        self._read[custom.ref] = (custom, digest, read)
        return read

    def _reference_refusal(
        self, custom: Custom, document: Document, state: State, zones: ZoneObjects
    ) -> InvalidObject | None:
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
            return InvalidObject(documents.Reason.ACCOUNT_NOT_FOUND, message, document.name)
        return None

    def _zone_refusal(
        self, host: str, namespace: str, state: State, zones: ZoneObjects
    ) -> InvalidObject | None:
        """Return why no zone takes this host.

        A zone that is stored but has no object now has not gone yet, and perhaps never will: its hosts go on.
        """
        zone = state.zone_of(host)
        if zone is None or not _is_there(state.zones.get(zone)):
            return InvalidObject(
                documents.Reason.ZONE_NOT_FOUND, f"{host} lies in no zone: create its Zone", host
            )
        origin = state.zones[zone].value.origin
        if origin is not None and origin.source == self._source:
            if zones is None:
                return self._unread_zone_refusal(host, namespace, zone, state)
            if zone not in zones:
                message = f"the Zone {zone} is missing: create it again"
                return InvalidObject(documents.Reason.ZONE_NOT_FOUND, message)
        if not self._may_use(namespace, zone, host, origin, zones or {}):
            message = (
                f"zone {zone} takes no {host} of namespace {namespace}: "
                "add that to the Zone's `namespaces`, or the name to its `namespacePatterns`"
            )
            return InvalidObject(RejectionReason.NAMESPACE_NOT_ALLOWED, message, host)
        return None

    def _unread_zone_refusal(
        self, host: str, namespace: str, zone: str, state: State
    ) -> InvalidObject | None:
        """Return why a host may not lie in a zone whose object is not read: one that does already goes on."""
        entry, origin = state.hosts.get(host), Origin(self._source, namespace)
        if entry is not None and entry.value.origin == origin and not entry.value.held:
            return None
        message = (
            f"zone {zone} is a Zone of this Kubernetes cluster, and Zones are not read here: watch all "
            "namespaces (kube.watch_namespaces), or let the controller list them"
        )
        return InvalidObject(documents.Reason.ZONE_NOT_FOUND, message)

    def _may_use(
        self, namespace: str, zone: str, host: str, origin: Origin | None, zones: Mapping[str, Custom]
    ) -> bool:
        if origin is None:
            return namespace in self._trusted
        return origin.source == self._source and is_open_to(zones[zone], namespace, host)


def _is_there(entry: Entry[Resource[Spec]] | None) -> bool:
    return entry is not None and not entry.value.held and entry.value.mark is Mark.NONE


_log = structlog.get_logger(__name__)

TYPE = "ddnsd.dev/token"  # of the Secrets that ddnsd makes
LABEL = "ddnsd.dev/token-source"  # on a Secret of the user's own, "true": Tokens may name it
_SECRET_BYTES = 32
_AGAIN_SECONDS = 5.0  # after which a Secret is looked at again
_ROUND_SECONDS = 2.0  # ... and one that cannot be used
_PER_SECOND = 50  # Secrets looked at


class _Secret(msgspec.Struct, frozen=True):
    type: str = ""
    data: dict[str, str] = {}


_NONE = SecretDigest("")
_NOT_YET = SecretDigest("", InvalidObject(RejectionReason.PENDING, "its Secret has not been read yet"))


class SecretReader:
    """Knows the digests of the Tokens' secrets. Run `run()` as a task of its own."""

    def __init__(self, client: ApiClient, views: Views, role: str = "") -> None:
        """`views` has the Tokens; `role` is the ClusterRole to bind where we may use no Secrets, if any."""
        self._client = client
        self._views = views
        self._role = role
        self._known: dict[TokenSecret, SecretDigest] = {}
        self._looked: dict[TokenSecret, float] = {}  # when, by the loop's time
        self._unread: dict[TokenSecret, str] = {}  # why not, of those that cannot be read now
        self._round: dict[TokenSecret, None] = {}  # what is to be looked at, the next one last
        self._trigger = Trigger()

    def digest_of(self, custom: Custom) -> SecretDigest:
        """Return what is known of an object's secret; of what has none, an empty digest."""
        secret = secret_of(custom)
        if secret is None:
            return _NONE
        if secret not in self._looked:
            self._round.setdefault(secret)  # a new one comes next: it does not wait for all others
            self._trigger.due()
        return self._known.get(secret, _NOT_YET)

    async def run(self, changed: Callable[[], None]) -> None:
        """Look at the Secrets, the new ones at once, the others again and again; say when one is another."""

        async def look_around() -> None:
            self._round = dict.fromkeys(reversed(self._due()))
            while self._round:
                secret, _ = self._round.popitem()
                if self._is_there(secret) and await self._look(secret):
                    changed()
                await asyncio.sleep(1 / _PER_SECOND)

        self._trigger.due()
        await self._trigger.run(look_around, every=_ROUND_SECONDS)

    def _is_there(self, secret: TokenSecret) -> bool:
        """Say whether the Token still is as it was when the round began; one that is gone gets no Secret."""
        token = self._views.get(secret.token)
        return token is not None and secret_of(token) == secret

    def _due(self) -> list[TokenSecret]:
        """Return what is to be looked at, first what cannot be used yet; forget what is asked for no more."""
        wanted = set(filter(None, map(secret_of, self._views.of_kind(Kind.TOKEN))))
        self._known = {secret: known for secret, known in self._known.items() if secret in wanted}
        self._looked = {secret: at for secret, at in self._looked.items() if secret in wanted}
        self._unread = {secret: reason for secret, reason in self._unread.items() if secret in wanted}
        # What is forbidden stays so until somebody acts: there may be thousands.
        usable = {secret for secret, known in self._known.items() if known.is_steady}
        before = asyncio.get_running_loop().time() - _AGAIN_SECONDS
        old = sorted(
            filter(lambda secret: self._looked[secret] <= before, usable), key=self._looked.__getitem__
        )
        return [*(wanted - usable), *old]

    async def _look(self, secret: TokenSecret) -> bool:
        """Look at one Secret; say whether it is another than before. On a failure nothing is changed."""
        self._looked[secret] = asyncio.get_running_loop().time()
        try:
            found = await self._read(secret)
        except ForbiddenError as error:
            self._note_unread(secret, str(error))
            found = self._forbidden(secret)
        except KubeError as error:
            self._note_unread(secret, str(error))
            return False
        else:
            self._unread.pop(secret, None)
        before = self._known.get(secret)
        self._known[secret] = found
        return found != before

    def _note_unread(self, secret: TokenSecret, reason: str) -> None:
        """Log why a Secret cannot be read, once as long as it is the same."""
        if self._unread.get(secret) != reason:
            _log.warning("kube.secret_unread", token=str(secret.token), secret=secret.name, reason=reason)
        self._unread[secret] = reason

    async def _read(self, secret: TokenSecret) -> SecretDigest:
        token, uid = secret.token, secret.uid
        try:
            object = await self._client.get(SECRETS, secret.name, namespace=token.namespace)
        except ObjectNotFoundError:
            if secret.own:
                return await self._create(secret)
            return _no_source(secret)
        found = object.decode(_Secret)
        if secret.own:
            owners = object.metadata.owner_references
            if found.type == TYPE and any(owner.name == token.name and owner.uid != uid for owner in owners):
                # The garbage collector deletes it, as its owner is gone; we may not.
                message = f"Secret {secret.name} is an earlier Token's: once it is gone, there is a new one"
                return _refused(RejectionReason.PENDING, message)
            if uid not in {owner.uid for owner in owners}:
                message = (
                    f"Secret {secret.name} is not ddnsd's: rename or delete it, or name it in `secretRef`"
                )
                return _refused(RejectionReason.SECRET_EXISTS, message)
            return _digest_in(found, secret)
        if found.type == TYPE or object.metadata.labels.get(LABEL) == "true":
            return _digest_in(found, secret)
        custom = self._views.get(token)
        if custom is None or custom.uid != uid or not follows_unlabelled(custom):
            return _no_source(secret)
        return _digest_in(found, secret)._replace(warnings=(_unlabelled(secret),))

    async def _create(self, secret: TokenSecret) -> SecretDigest:
        """Make the Secret of a Token; nobody knows it before it is there to be read."""
        text = secrets.token_urlsafe(_SECRET_BYTES)
        try:
            await self._client.create(SECRETS, _manifest(secret, text), manager=MANAGER)
        except ForbiddenError as error:
            self._note_unread(secret, str(error))
            return self._forbidden(secret, "make")
        except AlreadyExistsError:  # another was faster: the next look finds who
            return _NOT_YET
        _log.info("kube.secret_made", token=str(secret.token), secret=secret.name)
        return SecretDigest(digest(text))

    def _forbidden(self, secret: TokenSecret, verb: str = "read") -> SecretDigest:
        """Return what is known of a Secret that we may not read or make: who may change that, and how."""
        namespace = secret.token.namespace
        message = f"ddnsd may not {verb} Secrets in namespace {namespace}: "
        if self._role:
            message += (
                f"let it: `kubectl create rolebinding ddnsd-secrets --namespace={namespace} "
                f"--clusterrole={self._role} --serviceaccount={self._client.account}`"
            )
        else:
            message += "let its ServiceAccount get and create Secrets there"
        if verb == "make":
            message += "; or make one, and name it in `secretRef`"
        return _refused(RejectionReason.SECRET_FORBIDDEN, message)


def _manifest(secret: TokenSecret, text: str) -> dict[str, Any]:
    token = secret.token
    owner = {
        "apiVersion": API_VERSION,
        "kind": token.kind.value,
        "name": token.name,
        "uid": secret.uid,
        "controller": True,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": secret.name,
            "namespace": token.namespace,
            "labels": {"app.kubernetes.io/managed-by": "ddnsd"},
            "ownerReferences": [owner],
        },
        "type": TYPE,
        "data": {secret.key: b64encode(text.encode()).decode()},
    }


def _no_source(secret: TokenSecret) -> SecretDigest:
    """Return what is known of a Secret that is not there, or does not say that Tokens may name it.

    Both get the same message: who may make a Token is not always who may read Secrets.
    """
    message = f"there is no Secret {secret.name} with the label {LABEL}=true: create it, or label it"
    return _refused(RejectionReason.SECRET_NOT_FOUND, message)


def _unlabelled(secret: TokenSecret) -> ConditionValue:
    label = f"kubectl label secret {secret.name} --namespace={secret.token.namespace} {LABEL}=true"
    message = f"Secret {secret.name} lacks the label that ddnsd 0.2 asks for: `{label}`"
    return ConditionValue(ConditionType.SECRET_LABELLED, holds=False, reason="LabelMissing", message=message)


def _digest_in(found: _Secret, secret: TokenSecret) -> SecretDigest:
    if secret.key not in found.data:
        return _refused(
            RejectionReason.SECRET_INVALID, f"Secret {secret.name} has no key {secret.key}: add it"
        )
    try:
        return SecretDigest(digest(read_secret(b64decode(found.data[secret.key], validate=True))))
    except (InvalidSecretError, binascii.Error) as error:
        return _refused(RejectionReason.SECRET_INVALID, f"Secret {secret.name}, key {secret.key}: {error}")


def _refused(reason: RejectionReason, message: str) -> SecretDigest:
    return SecretDigest("", InvalidObject(reason, message))
