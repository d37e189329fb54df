"""The settings: config.yaml + environment + secret files, checked once, then passed in.

`SettingsSource.read` is the only way to make one; nothing looks a setting up by name afterwards.
"""

from ddnsd.config.change import SettingsChange, change, digests, needing_restart
from ddnsd.config.environment import SettingsSource, load
from ddnsd.config.nameservers import (
    ASKED,
    NONE,
    EmbeddedNameserverSettings,
    Rfc2136NameserverSettings,
    TsigKey,
)
from ddnsd.config.parse import IPNetwork, ListenAddress
from ddnsd.config.reader import ConfigError, SettingProblem, setting_problem
from ddnsd.config.secrets import KeyFile, SecretFile
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
    "ConfigError",
    "DrainSettings",
    "EmbeddedNameserverSettings",
    "EtcdSettings",
    "EtcdTlsSettings",
    "FairUseSettings",
    "HttpSettings",
    "IPNetwork",
    "KeyFile",
    "KubeSettings",
    "LeaderSettings",
    "ListenAddress",
    "ListenSettings",
    "LogSettings",
    "NodeSettings",
    "PublishSettings",
    "Rfc2136NameserverSettings",
    "SecretFile",
    "SettingProblem",
    "Settings",
    "SettingsChange",
    "SettingsSource",
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
