"""The settings: config.yaml + environment + secret files, checked once, then passed in.

`Source.read` is the only way to make one; nothing looks a setting up by name afterwards.
"""

from ddnsd.config.change import Change, change, digests, needing_restart
from ddnsd.config.environment import Reading, Source, load
from ddnsd.config.nameservers import ASKED, NONE, EmbeddedNameserver, Rfc2136Nameserver, TsigKey
from ddnsd.config.parse import Endpoint, Network
from ddnsd.config.reader import ConfigError, SettingProblem, setting_problem
from ddnsd.config.secrets import KeyFile, PasswordFile, PemFile
from ddnsd.config.settings import (
    AddressSettings,
    AdminSettings,
    DrainSettings,
    EtcdSettings,
    EtcdTlsSettings,
    FairUseSettings,
    HttpSettings,
    KubeSettings,
    LeaderSettings,
    ListenSettings,
    LogSettings,
    NodeSettings,
    PublishSettings,
    Settings,
    StoreSettings,
    TlsSettings,
)
from ddnsd.config.warnings import EXPOSED_REMEDY, exposures, is_remote, warnings

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
    "Network",
    "NodeSettings",
    "PasswordFile",
    "PemFile",
    "PublishSettings",
    "Reading",
    "Rfc2136Nameserver",
    "SettingProblem",
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
    "setting_problem",
    "warnings",
]
