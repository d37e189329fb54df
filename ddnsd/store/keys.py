"""The keys of the store, relative to the installation's prefix: written here, read here."""

from ..model.addresses import Family
from ..model.records import RecordKey, Site
from ..model.resources import Kind

INSTALLATION = "installation"  # a single key: see `model.records.Installation`
ELECTION = "election"
MEMBERS = "members"
ADDRESSES = "addresses"
PUBLISHED = "published"
FOOTPRINTS = "fences"
REQUESTS = "requests"
SOURCES = "sources"
CONTROLLERS = "controllers"
REGISTRY = "registry"  # a single key: see `model.records.RegistryHead`


def resource(kind: Kind, name: str) -> str:
    """Return the key of a Zone, Account, Host or Token."""
    return f"{kind.plural}/{name}"


def address(record: RecordKey) -> str:
    """Return the key of a committed address."""
    return f"{ADDRESSES}/{record.name}/{record.family}"


def published(record: RecordKey) -> str:
    """Return the key of what the nameserver has."""
    return f"{PUBLISHED}/{record.name}/{record.family}"


def footprint(site: Site) -> str:
    """Return the key that says that ddnsd publishes, or published, at a site."""
    return f"{FOOTPRINTS}/{site.zone}/{site.nameserver}"


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
    name, _, family = id.rpartition("/")
    return RecordKey(name, Family(family))


def read_site(id: str) -> Site:
    """Read what follows `fences/`."""
    zone, _, nameserver = id.partition("/")
    return Site(zone, nameserver)
