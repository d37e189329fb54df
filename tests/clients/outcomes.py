"""What the tests show of clients, and what they saw: the table of docs/clients (script/clients-table)."""

import json
import os
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import NamedTuple, TypeVar

import pytest

from tests.clients.packages import Package

REPORT = "CLIENTS_REPORT"
"""Environment variable: the file to which each outcome is added, a line of JSON."""

Test = TypeVar("Test", bound=Callable[..., object])


class Client(Enum):
    """In the table's order: its title, and its packages."""

    DDCLIENT = ("ddclient", "debian:ddclient")
    INADYN = ("inadyn", "debian:inadyn")
    UNIFI = ("inadyn -C (UniFi)", "debian:inadyn")
    DDNS = ("ddns", "pypi:ddns")
    CURL = ("curl", "debian:curl")
    CURL_1_0 = ("curl --http1.0", "debian:curl")
    SHELL = ("ddnsd-update.sh", "ours:ddnsd-update.sh")
    PYTHON = ("ddnsd_update.py", "ours:ddnsd_update.py")
    CERTBOT = ("certbot with certbot-dns-acmedns", "pypi:certbot", "pypi:certbot-dns-acmedns")
    CERTBOT_MULTI = ("certbot with certbot-dns-multi", "pypi:certbot", "pypi:certbot-dns-multi")
    LEGO = ("lego", "debian:lego")

    @property
    def title(self) -> str:
        found: str = self.value[0]
        return found

    @property
    def packages(self) -> Sequence[Package]:
        return [Package.parse(text) for text in self.value[1:]]

    @property
    def version(self) -> str:
        """The versions of its packages."""
        return ", ".join(package.version for package in self.packages)


class Scenario(Enum):
    """In the table's order: its title in English and in Chinese."""

    FIRST = ("first update", "首次更新")
    CHANGE = ("changed address", "地址已变化")
    UNCHANGED = ("same address", "地址未变化")
    BOTH = ("IPv4 and IPv6", "IPv4 与 IPv6")
    WRONG_TOKEN = ("wrong token", "错误的 token")
    UNKNOWN_HOST = ("unknown host", "未知主机")
    SOME_HOSTS = ("two hosts, one unknown", "两个主机，其一未知")
    NAMESERVER_DOWN = ("nameserver down, then back", "DNS 服务器停机后恢复")
    LIMITED = ("asking too often", "请求过于频繁")
    CERTIFICATE = ("certificate", "证书")
    WILDCARD = ("certificate with wildcard", "通配符证书")
    APIS = ("each API", "每个 API")


class Fact(Enum):
    """What a test saw beside the client's own words, in English and in Chinese."""

    SERVED = ("the nameserver has the address", "DNS 服务器已有该地址")
    SERVED_BOTH = ("the nameserver has both addresses", "DNS 服务器已有两个地址")
    ASKS_NOT = ("it asks nothing of ddnsd", "不向 ddnsd 发送请求")
    REMEMBERS = ("its cache has the address", "其缓存已有该地址")
    REMEMBERS_NOT = ("its cache has no such address", "其缓存没有该地址")
    RUNS = ("it runs on", "继续运行")
    ENDS = ("it ends", "退出")
    COMES_AGAIN = ("it comes again, and succeeds", "稍后重试并成功")
    AGAIN_BY_HAND = ("started again it succeeds", "再次运行即成功")
    TWO_VALUES = ("two TXT values at once", "两个 TXT 值同时存在")
    ISSUED = ("the certificate is issued", "证书已签发")


class Shown(NamedTuple):
    """A row of the table."""

    client: Client
    scenario: Scenario


SHOWN: list[Shown] = []
"""What the imported test modules show."""


def shows(client: Client, scenario: Scenario) -> pytest.MarkDecorator:
    """Say which row of the table this test makes; it has to ask for the fixture `outcome`."""
    shown = Shown(client, scenario)
    SHOWN.append(shown)
    return pytest.mark.shows(shown)


class Outcome:
    """Takes what a test saw."""

    def __init__(self, shown: Shown) -> None:
        self.told = False
        self._shown = shown

    def tell(self, *seen: str | Fact, code: int | None = None) -> None:
        """Say what was seen, in this order: the client's own words, and facts; first how it ended."""
        self.told = True
        if path := os.environ.get(REPORT):
            line = {
                "client": self._shown.client.name,
                "version": self._shown.client.version,
                "scenario": self._shown.scenario.name,
                "code": code,
                "seen": [{"fact": each.name} if isinstance(each, Fact) else {"said": each} for each in seen],
            }
            with Path(path).open("a") as report:  # one write: lines of two processes do not mix
                report.write(json.dumps(line, ensure_ascii=False) + "\n")
