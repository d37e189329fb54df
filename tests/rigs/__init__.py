"""Real nameservers for the tests: started for one test, in a folder and on a port of their own.

The fixtures are in `tests.rigs.fixtures`; `tests/conftest.py` loads them.
"""

from tests.rigs.base import NameserverRig
from tests.rigs.bind import BindRig
from tests.rigs.client import Record
from tests.rigs.knot import KnotRig
from tests.rigs.pdns import PowerDnsRig

RIGS: dict[str, type[NameserverRig]] = {"bind": BindRig, "knot": KnotRig, "pdns": PowerDnsRig}

__all__ = ["RIGS", "BindRig", "KnotRig", "NameserverRig", "PowerDnsRig", "Record"]
