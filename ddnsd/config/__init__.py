"""One typed settings tree: config.yaml + environment + secret files, checked once, then passed in.

`load` is the only way to make one; nothing looks a setting up by name afterwards.
"""

from .etcd import EtcdSettings, EtcdTlsSettings
from .kube import KubeSettings
from .load import load
from .mistakes import ConfigError, Mistake
from .nameservers import EmbeddedNameserver, Rfc2136Nameserver, TsigKey
from .parse import Endpoint, Network
from .remarks import remarks
from .secrets import KeyFile, PasswordFile
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
    "AddressSettings",
    "AdminSettings",
    "ConfigError",
    "DrainSettings",
    "EmbeddedNameserver",
    "Endpoint",
    "EtcdSettings",
    "EtcdTlsSettings",
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
    "PublishSettings",
    "Rfc2136Nameserver",
    "Settings",
    "StoreSettings",
    "TlsSettings",
    "TsigKey",
    "load",
    "remarks",
]
