"""The keys of the store, relative to the installation's prefix: written here, read here."""

from ddnsd.model.names import parse_type
from ddnsd.model.records import Placement, RecordKey, prefix_update_id
from ddnsd.model.resources import Kind

INSTALLATION = "installation"  # a single key: see `model.records.Installation`
ELECTION = "election"
MEMBERS = "members"
ADDRESSES = "addresses"
PUBLISHED = "published"
PLACEMENTS = "fences"
REQUESTS = "requests"
SOURCES = "sources"
CONTROLLERS = "controllers"
SEEN = "seen"
HISTORY = "history"
AUDIT = "audit"
PREFIXES = "prefixes"
PREFIX_HEADS = "prefixheads"
REGISTRY = "registry"  # a single key: see `model.records.RegistryHead`


def resource(kind: Kind, name: str) -> str:
    """Return the key of a Zone, Account, Host or Token."""
    return f"{kind.plural}/{name}"


def address(record: RecordKey) -> str:
    """Return the key of a committed address."""
    return f"{ADDRESSES}/{record.name}/{record.type}"


def published(record: RecordKey) -> str:
    """Return the key of what the nameserver has."""
    return f"{PUBLISHED}/{record.name}/{record.type}"


def seen(host: str) -> str:
    """Return the key that says when a host was last refreshed."""
    return f"{SEEN}/{host}"


def history(host: str) -> str:
    """Return the key of a host's newest changes."""
    return f"{HISTORY}/{host}"


def audit(id: str) -> str:
    """Return the key of an audit entry; the ids are in the order of time."""
    return f"{AUDIT}/{id}"


def prefix(account: str, token: str, revision: int) -> str:
    """Return the key of a prefix that hosts have yet to follow; `revision` is the token's."""
    return f"{PREFIXES}/{prefix_update_id(account, token, revision)}"


def prefix_head(account: str) -> str:
    """Return the key that every prefix of an account's tokens writes."""
    return f"{PREFIX_HEADS}/{account}"


def placement(placement: Placement) -> str:
    """Return the key that says that ddnsd publishes, or published, at a placement."""
    return f"{PLACEMENTS}/{placement.zone}/{placement.nameserver}"


def member(id: str) -> str:
    """Return the key of a running node."""
    return f"{MEMBERS}/{id}"


def request(id: str) -> str:
    """Return the key of work asked of the leader."""
    return f"{REQUESTS}/{id}"


def source(name: str) -> str:
    """Return the key that says which Kubernetes cluster a source's name is bound to."""
    return f"{SOURCES}/{name}"


def controllers(source: str) -> str:
    """Return the election of a source's controllers."""
    return f"{CONTROLLERS}/{source}"


def read_record(id: str) -> RecordKey:
    """Read what follows `addresses/` or `published/`."""
    name, _, type = id.rpartition("/")
    return RecordKey(name, parse_type(type))


def read_placement(id: str) -> Placement:
    """Read what follows `fences/`."""
    zone, _, nameserver = id.partition("/")
    return Placement(zone, nameserver)
