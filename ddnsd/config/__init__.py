"""One typed settings tree: config.yaml + environment + secret files, checked once, then passed in.

`Source.read` is the only way to make one; nothing looks a setting up by name afterwards.
"""

from .change import Change, change, needing_restart
from .digest import digests
from .etcd import EtcdSettings, EtcdTlsSettings
from .fairuse import FairUseSettings
from .kube import KubeSettings
from .load import Reading, Source, load
from .mistakes import ConfigError, Mistake
from .nameservers import ASKED, NONE, EmbeddedNameserver, Rfc2136Nameserver, TsigKey
from .parse import Endpoint, Network
from .remarks import EXPOSED_REMEDY, exposures, is_remote, remarks
from .secrets import KeyFile, PasswordFile, PemFile
from .tree import (
    AddressSettings,
    AdminSettings,
    DrainSettings,
    HttpSettings,
    LeaderSettings,
    ListenSettings,
    LogSettings,
    NodeSettings,
    PublishSettings,
    Settings,
    StoreSettings,
    TlsSettings,
)

__all__ = [
    "ASKED",
    "EXPOSED_REMEDY",
    "NONE",
    "AddressSettings",
    "AdminSettings",
    "Change",
    "ConfigError",
    "DrainSettings",
    "EmbeddedNameserver",
    "Endpoint",
    "EtcdSettings",
    "EtcdTlsSettings",
    "FairUseSettings",
    "HttpSettings",
    "KeyFile",
    "KubeSettings",
    "LeaderSettings",
    "ListenSettings",
    "LogSettings",
    "Mistake",
    "Network",
    "NodeSettings",
    "PasswordFile",
    "PemFile",
    "PublishSettings",
    "Reading",
    "Rfc2136Nameserver",
    "Settings",
    "Source",
    "StoreSettings",
    "TlsSettings",
    "TsigKey",
    "change",
    "digests",
    "exposures",
    "is_remote",
    "load",
    "needing_restart",
    "remarks",
]
