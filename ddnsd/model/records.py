"""What the store holds, as frozen values. Every write makes a new value with a new revision.

Who changed what: the newest entries of each host.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from ddnsd.model.addresses import Family, RRType
from ddnsd.model.resources import Origin, Spec

SpecT = TypeVar("SpecT", bound=Spec, covariant=True)
ValueT = TypeVar("ValueT", covariant=True)


class Stored(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="v", tag=1):
    """Base of every stored value: JSON with the version of its shape under `v`."""


class RecordKey(NamedTuple):
    """An RRset of a host: the host's name and the record type; `model.names` has where it is served."""

    name: str
    type: RRType


class Placement(NamedTuple):
    """A zone at one nameserver: the unit that is fenced and published to."""

    zone: str
    nameserver: str


class Mark(StrEnum):
    """What is being done to a resource in more than one commit."""

    NONE = ""
    DELETING = "deleting"


class Resource(Stored, Generic[SpecT], frozen=True):
    """A stored document; `origin` is None if it was written by the admin API.

    One that is `held` has lost its document, or what it refers to, but hosts depend on it: it stays
    published as it is, and takes no updates.
    """

    spec: SpecT
    mark: Mark = Mark.NONE
    origin: Origin | None = None
    held: bool = False


class HeldDeletions(msgspec.Struct, frozen=True):
    """Deletions that a controller does not do before an operator allows them: they are suspiciously many.

    `names` are the first of their titles, such as "Host a.example.com".
    """

    id: str  # of exactly these: others are not allowed with them
    count: int
    names: tuple[str, ...]
    since: datetime
    reason: str


class Source(Stored, frozen=True):
    """`sources/<name>`: the Kubernetes cluster that a source's name is bound to, by a uid of its own.

    Without it the name is free, and so is what was written under it.
    """

    uid: str  # of the release's Namespace there
    bound: datetime
    claimant: str = ""  # uid of another Namespace whose controller has asked for the name
    claimed: datetime | None = None
    # Namespaces, of which all objects were known at the last pass, () being all of them; None: not all were.
    watched: tuple[str, ...] | None = None
    held: HeldDeletions | None = None
    pruned: str = ""  # id of the held deletions that an operator has allowed
    # Id of the installation that its objects name, where that is not this one: then nothing is changed.
    other_installation: str = ""
    replaced_installation: str = ""  # ... of one that an operator has let this one replace


class RegistryHead(Stored, frozen=True):
    """`registry`: compared and written by every change of resources, so that they come one by one.

    A writer that decided on an older state finds another revision here; it compares no other resource.
    """

    commit: str  # random id: no two commits write the same bytes (`store.trace`)


class Committed(Stored, frozen=True):
    """`addresses/<fqdn>/<type>`: the address that the host shall have.

    Of a TXT `ip` holds the values, oldest first, with a blank between. A tombstone has an empty `ip`: the
    RRset has to leave `zone`, then this key goes.
    """

    ip: str
    previous: str  # the committed address before this one, "" if none
    commit: str  # random id: no two commits write the same bytes (`store.trace`)
    changed: datetime
    zone: str = ""  # of a tombstone only: where it was published
    cleared: bool = False  # of a tombstone only: the host stays, a client or the clock took its address
    again: int = 0  # times that the same was committed once more, after the nameserver had refused it

    @property
    def is_tombstone(self) -> bool:
        """Say whether the address was withdrawn."""
        return not self.ip


NAME_IN_USE = "NameInUse"
UNSERVED = "the nameserver answered NOERROR but does not serve the record"


class PublishError(msgspec.Struct, frozen=True):
    """Why the nameserver does not have a committed address."""

    revision: int  # of the committed address that was refused; 0: to be tried again
    message: str  # begins with `NAME_IN_USE` where what exists at the name is not ddnsd's
    at: datetime
    nameserver: str  # that refused it

    @property
    def is_unserved(self) -> bool:
        """Say whether the nameserver took the address all the same, but did not serve it when asked."""
        return self.message.startswith(UNSERVED)

    @property
    def is_name_in_use(self) -> bool:
        """Say whether the reason is something there that is not ddnsd's."""
        return is_name_in_use(self.message)


def is_name_in_use(message: str) -> bool:
    """Say whether it is that of a `PublishError` because of what exists at the name."""
    return message.startswith(f"{NAME_IN_USE}: ")


class Taking(msgspec.Struct, frozen=True):
    """Owner names that were free when asked for, and that the next UPDATE takes (decision 34).

    Written before that UPDATE: were its answer lost, only these very values would be taken for ddnsd's own.
    It counts until `Published.revision` has reached `revision`, that of the committed address.
    """

    names: tuple[str, ...]
    values: tuple[str, ...]  # rdata, sorted
    revision: int


class Published(Stored, frozen=True):
    """`published/<fqdn>/<type>`: what the nameserver is known to serve, and at which names it is ddnsd's own.

    `revision` is that of the committed address that was pushed; 0 if what is served is not known. With an
    empty `ip` nothing there is ddnsd's (`model.publication.ours`).
    """

    revision: int
    ip: str
    ttl: int
    nameserver: str
    at: datetime | None = None
    error: PublishError | None = None
    wildcard: bool = False  # `*.<fqdn>` is, or may be, served with it; written before the first such UPDATE
    taking: Taking | None = None
    adopted: tuple[str, ...] = ()  # owner names where something else was: they outlive their host
    not_at: Mapping[str, tuple[str, ...]] = {}  # by nameserver: owner names that are not ddnsd's there


class LastSeen(Stored, frozen=True):
    """`seen/<fqdn>`: when a host that expires was last refreshed, or declared.

    `families` are the times of its families, if they were written together with this very `at` (`of`). Else
    a node of an earlier version, which keeps both fields as they are, has refreshed the host as a whole.
    """

    at: datetime
    families: Mapping[Family, datetime] = msgspec.field(default_factory=dict)
    of: datetime | None = None


class HistoryEntry(msgspec.Struct, frozen=True, array_like=True):
    """One change of one record of a host. `new` is "" where it was withdrawn.

    Stored as an array, for a third less to write with each change: fields are only ever added at its end.
    """

    at: datetime
    type: str  # an RRType
    old: str
    new: str
    api: str  # by which it came: see `model.request.Api`
    token: str = ""  # its name; "" of what ddnsd did by itself
    source: str = ""  # the client's address


class History(Stored, frozen=True):
    """`history/<fqdn>`: the newest changes of a host, oldest first; each is a `HistoryEntry`, still JSON.

    Written with the change itself. It outlives the host.
    """

    entries: tuple[msgspec.Raw, ...]


class PrefixUpdate(Stored, frozen=True):
    """`prefixes/<account>/<token>/<revision of the token>`: a prefix that hosts have yet to follow.

    One key moves all hosts of the account that have an interface identifier and that the token may change.
    The leader commits the address of each, unless it has a newer one, and then deletes the key.
    """

    prefix: str  # as it was sent, canonical: the address part's own bits below the length count
    account: str
    hosts: tuple[str, ...] | None  # that the token may change; None: all of the account's
    commit: str  # random id: no two commits write the same bytes (`store.trace`)
    changed: datetime
    token: str  # its name
    source: str
    api: str


def prefix_update_id(account: str, token: str, revision: int) -> str:
    """Return the id of a `PrefixUpdate`; `revision` is the token's."""
    return f"{account}/{token}/{revision}"


def account_of(prefix_update_id: str) -> str:
    """Return the account of a `PrefixUpdate` with this id."""
    return prefix_update_id.partition("/")[0]


class PrefixHead(Stored, frozen=True):
    """`prefixheads/<account>`: written with every prefix of the account that hosts have yet to follow.

    A commit of an address because of an older prefix finds another revision here. It goes with the last.
    """

    commit: str  # of the newest prefix


class PlacementState(Stored, frozen=True):
    """`fences/<zone>/<nameserver>`: written before the first UPDATE there, deleted after the last.

    One that is `untouched` only says what is wrong: no UPDATE was sent there yet.

    While it is not verified in the store's present history no request may be answered "unchanged": the zone
    has lost its fence, somebody else holds it, or the store was restored, so what is served is not known.
    """

    verified_in: str = ""  # identity of the store's history in which the zone was compared; "": not yet
    holder: str = ""  # text of somebody else's fence: publishing is paused until `zone takeover`
    error: str = ""  # why the zone as a whole takes no update now
    untouched: bool = False
    since: datetime | None = None  # when the error began, whatever its first text


class Work(StrEnum):
    """What any node may ask of the leader for a zone."""

    CHECK = "check"  # compare the zone with the store and say what differs
    REPAIR = "repair"  # ... and publish what differs
    TAKEOVER = "takeover"  # claim the zone's fence from whoever holds it
    FORGET = "forget"  # leave what cannot be removed at nameservers that the zone has left


class WorkRequest(Stored, frozen=True):
    """`requests/<id>`: work asked of the leader, and what came of it once `finished`."""

    work: Work
    zone: str
    asked: datetime
    finished: datetime | None = None
    failure: str = ""  # why it could not be done
    findings: tuple[str, ...] = ()  # a line each: what differs, what was done
    adopt: bool = False  # a takeover takes the names of hosts though the zone cannot be transferred


class Beat(msgspec.Struct, frozen=True):
    """What a node says of itself every few seconds."""

    at: datetime  # by the node's own clock
    revision: int  # that it has applied
    watch_lag: float  # seconds from its last question for the newest revision until it had applied that


class Configured(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a node says of its configuration."""

    since: datetime | None = None  # when it was taken over, by the node's own clock
    digests: Mapping[str, str] = {}  # by section, of those that all nodes should have alike
    refused: str = ""  # why the newest one was not taken over; "" if it was
    waiting: tuple[str, ...] = ()  # changed settings that take effect at the next start


class SelfEnded(msgspec.Struct, frozen=True):
    """How a process ended itself, as it could not go on."""

    at: datetime  # by the node's own clock
    reason: str


class Member(Stored, frozen=True):
    """`members/<id>`: a running node; the key goes when the node does.

    `addresses` are where it listens, by listener; `nameservers` the names in its config.yaml.
    """

    name: str
    region: str
    version: str
    started: datetime
    nameservers: frozenset[str]
    eligible: bool  # to lead
    priority: int
    addresses: Mapping[str, str]
    beat: Beat
    configuration: Configured = Configured()
    ended: SelfEnded | None = None  # the process before this one, lately


class Candidacy(Stored, frozen=True):
    """`election/<key>`: a node that leads, or waits in the queue. The oldest key leads.

    `controllers/<source>/<key>`: the same for the controller of a source.
    """

    member: str  # its id


class Installation(Stored, frozen=True):
    """`installation`: its random id, made once."""

    id: str


class Entry(NamedTuple, Generic[ValueT]):
    """A stored value and its place in history."""

    key: str
    revision: int  # that last wrote it
    created: int  # that created it
    value: ValueT


def revision_of(entry: Entry[Any] | None) -> int:
    """Return the revision at which an entry was written, 0 for none: what a commit compares."""
    return entry.revision if entry else 0


MOST_OF_A_HOST = 10

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(HistoryEntry).decode


def extended(history: History | None, *entries: HistoryEntry) -> History:
    """Return the history with newer entries; the oldest beyond what a host may have are dropped."""
    older = history.entries if history else ()
    newer = [msgspec.Raw(_encode(entry)) for entry in entries]
    return History((*older, *newer)[-MOST_OF_A_HOST:])


def entries(history: History) -> Iterator[HistoryEntry]:
    """Yield the entries, newest first."""
    return map(_decode, reversed(history.entries))
