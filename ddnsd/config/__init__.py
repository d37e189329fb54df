"""One typed settings tree: config.yaml + environment + secret files, checked once, then passed in.

`Source.read` is the only way to make one; nothing looks a setting up by name afterwards.
"""

from ddnsd.config.change import Change, change, needing_restart
from ddnsd.config.digest import digests
from ddnsd.config.etcd import EtcdSettings, EtcdTlsSettings
from ddnsd.config.fairuse import FairUseSettings
from ddnsd.config.kube import KubeSettings
from ddnsd.config.load import Reading, Source, load
from ddnsd.config.mistakes import ConfigError, Mistake
from ddnsd.config.nameservers import ASKED, NONE, EmbeddedNameserver, Rfc2136Nameserver, TsigKey
from ddnsd.config.parse import Endpoint, Network
from ddnsd.config.remarks import EXPOSED_REMEDY, exposures, is_remote, remarks
from ddnsd.config.secrets import KeyFile, PasswordFile, PemFile
from ddnsd.config.tree import (
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
