#!/usr/bin/env python3
"""Tells ddnsd the addresses of this machine. One file: Python 3.8 or later, and nothing else.

The same options, files, exit statuses and behaviour as ddnsd-update.sh; --help has them all.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import ipaddress
import json
import os
import re
import secrets
import socket
import ssl
import stat
import sys
import threading
import time
from email.utils import parsedate_to_datetime
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple, NoReturn, TextIO, TypeVar
from urllib.parse import SplitResult, urlencode, urlsplit

PROGRAM = "ddnsd_update.py"
VERSION = "0.1.0"

DONE, MISTAKE, REFUSED, LATER = range(4)  # the exit statuses

DESCRIPTION = """\
Tells ddnsd the addresses of this machine: asks ddnsd which they are, over IPv4 and over IPv6, and sends
both in one call for each DOMAIN. An address that cannot be found out is left out, and its record stays."""

EPILOGUE = """\
Prints a line for each name whose address has changed, and nothing if none has. A temporary failure (no
answer, 5xx, 429) is tried again until --max-time is over. Uses no proxy and follows no redirect.

Exit status; of several names the gravest, 1 before 2 before 3:
  0  every name has the address, changed or unchanged
  1  the options are wrong, or the configuration
  2  refused for good: the same again will not help
  3  a temporary failure: run it again later"""

MEANINGS = {  # of the statuses, for whoever does not read Chinese
    400: "the name, or its address, cannot be updated so",
    401: "the token is unknown, expired or disabled",
    403: "the account, the name or its zone is suspended or disabled",
    404: "no such name, or not one of this token; or ddnsd is at another URL",
    429: "too many requests",
}
STRANGE = "not what ddnsd answers; is something else in its place, or between?"

CONNECT_SECONDS = 10.0  # for each address of the server
LONGEST_PAUSE = 60.0  # seconds at random; what the server asks for may be longer
LARGEST_ANSWER = 1_000_000  # bytes

T = TypeVar("T")


class MistakeError(Exception):
    """The options are wrong, or the configuration. Says what to do."""


class RefusedError(Exception):
    """The same again will not help."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


class TemporaryError(Exception):
    """It may be done later; not before `retry_after` seconds are over."""

    def __init__(self, reason: str, status: int = 0, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after = retry_after


def say(text: str) -> None:
    """Tell the person, or the log."""
    print(f"{PROGRAM}: {text}", file=sys.stderr)


def shown(text: str) -> str:
    """Return the beginning of a text from elsewhere, without control characters."""
    return "".join(character for character in text[:300] if character.isprintable())


# --- options -------------------------------------------------------------------------------------------


class Settings(NamedTuple):
    """What one run is to do. Times in seconds."""

    server: SplitResult
    token_file: str
    domains: tuple[str, ...]
    family: str  # 4, 6, both or auto
    given: Mapping[int, str]  # by family: an address, or @ and the name of an interface
    context: ssl.SSLContext | None  # None: not https
    timeout: int
    max_time: int
    retry_delay: int
    delay: int
    verbose: bool

    @property
    def families(self) -> tuple[int, ...]:
        """The IP versions to send."""
        return (int(self.family),) if self.family in ("4", "6") else (4, 6)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise MistakeError(f"{message}; see --help")


class _Config(argparse.Action):
    """Reads a file of `name = value` lines as options that stand in the place of `--config`."""

    def __call__(
        self, parser: argparse.ArgumentParser, options: argparse.Namespace, values: Any, _: object = None
    ) -> None:
        try:
            with open(values, encoding="utf-8-sig") as file:
                lines = file.read().splitlines()
        except (OSError, ValueError) as error:
            raise MistakeError(f"--config: cannot read '{values}': {error}") from error
        for number, line in enumerate(map(str.strip, lines), 1):
            if line and not line.startswith("#"):
                _set_option(parser, options, line, f"{values}, line {number}")


def _set_option(parser: argparse.ArgumentParser, options: argparse.Namespace, line: str, where: str) -> None:
    name, equals, value = (part.strip() for part in line.partition("="))
    if not equals:
        raise MistakeError(f"{where}: there is no '=' in it; write 'name = value'")
    if name == "domain":
        options.domains += value.split()
        return
    if name not in ("server", "token-file", "token", "family", "ip", "ipv6", "cacert", *_SECONDS):
        raise MistakeError(f"{where}: there is no option '{shown(name)}'; see --help")
    try:
        parser.parse_known_args([f"--{name}={value}"], options)
    except MistakeError as error:
        raise MistakeError(f"{where}: {error}") from error


class _Token(argparse.Action):
    def __call__(self, *_: object) -> None:
        raise MistakeError(
            "no token here, where others can read it: put it alone into a file, 'chmod 600' that, and name it"
            " with token-file"
        )


_SECONDS = {
    "timeout": (30, 1, "for one call"),
    "max-time": (240, 1, "for all calls and pauses together"),
    "retry-delay": (2, 1, "the first pause is at most this long, each next one twice as long"),
    "delay": (0, 0, "first wait at random, at most this long, for cron: not all call at once"),
}


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [OPTION]... --server URL --token-file FILE DOMAIN...\n"
        f"   or: {PROGRAM} --config FILE [OPTION]... [DOMAIN]...",
        description=DESCRIPTION,
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("-c", "--config", metavar="FILE", action=_Config, help=(
        'read options from FILE, a line each, such as "server = https://ddns.example.com"; names as below'
        ' without dashes, "domain" for the names; # begins a comment.'
        " What stands after it on the command line wins"
    ))  # fmt: skip
    add("-s", "--server", metavar="URL", default="", help="where ddnsd is, such as https://ddns.example.com")
    add("-t", "--token-file", metavar="FILE", default="", help=(
        "holds the token, alone on one line; only its owner may read it (chmod 600)"
    ))  # fmt: skip
    add("-f", "--family", metavar="FAMILY", default="auto", choices=("4", "6", "both", "auto"), help=(
        "4 or 6: only this one. both: a missing one is a failure (3), the other is sent."
        " auto, the default: what there is"
    ))  # fmt: skip
    add("--ip", metavar="ADDRESS", default="", help=(
        "send this IPv4 address instead of asking; @eth0: the one of that interface (Linux)"
    ))  # fmt: skip
    add("--ipv6", metavar="ADDRESS", default="", help=(
        "the same for IPv6; of an interface the lasting one, no temporary one (RFC 8981)"
    ))  # fmt: skip
    add("--cacert", metavar="FILE", default="", help=(
        "trust the certificates in FILE (PEM) instead of the system's"
    ))  # fmt: skip
    for name, (default, least, meaning) in _SECONDS.items():
        meaning = f"{meaning}; {default}"
        add(f"--{name}", metavar="SECONDS", type=_seconds(least), default=default, help=meaning)
    add("-v", "--verbose", action="store_true", help="say on standard error what is done")
    add("-V", "--version", action="version", version=f"{PROGRAM} {VERSION}")
    add("--token", action=_Token, help=argparse.SUPPRESS)
    parser.set_defaults(domains=[])
    return parser


def _seconds(least: int) -> Callable[[str], int]:
    def seconds(text: str) -> int:
        if not re.fullmatch("[0-9]{1,5}", text) or not least <= int(text) <= 65535:
            raise argparse.ArgumentTypeError(
                f"'{shown(text)}' is no whole number of seconds from {least} to 65535"
            )
        return int(text)

    return seconds


def read_settings(arguments: list[str]) -> Settings:
    """Read the command line, and the files that it names.

    Raises:
        MistakeError: something is missing, or wrong.
    """
    options, others = _parser().parse_known_args(arguments)
    for other in others:
        if other.startswith("-"):  # what follows a `=` may be a token
            raise MistakeError(f"there is no option '{shown(other.partition('=')[0])}'; see --help")
    server = _server(options.server)
    return Settings(
        server=server,
        token_file=options.token_file,
        domains=_domains(options.domains + others),
        family=options.family,
        given=_given(options),
        context=_context(options.cacert) if server.scheme == "https" else None,
        timeout=options.timeout,
        max_time=options.max_time,
        retry_delay=options.retry_delay,
        delay=options.delay,
        verbose=options.verbose,
    )


def _server(text: str) -> SplitResult:
    if not text:
        raise MistakeError("--server is missing: say where ddnsd is, such as https://ddns.example.com")
    if not re.fullmatch(r"https?://.*", text):
        raise MistakeError(f"--server: '{shown(text)}' does not begin with https:// or http://")
    try:
        server = urlsplit(text)
        plain = bool(server.hostname) and server.port != 0
    except ValueError:
        plain = False
    if not plain or not re.fullmatch(r"[!-~]+", text) or re.search(r'["\\?#@]', text):
        raise MistakeError("--server: write a plain URL, without user, query and fragment")
    return server


def _domains(domains: list[str]) -> tuple[str, ...]:
    if not domains:
        raise MistakeError("no DOMAIN: say which names shall have the address, such as home.example.com")
    for domain in domains:
        if re.search(r'["\\/\s]', domain) or not domain:
            raise MistakeError(f"a DOMAIN is a name, such as home.example.com; this is none: {shown(domain)}")
    return tuple(domains)


def _given(options: argparse.Namespace) -> dict[int, str]:
    given = {4: options.ip, 6: options.ipv6}
    for version, text in given.items():
        option = {4: "--ip", 6: "--ipv6"}[version]
        if text and options.family not in (str(version), "both", "auto"):
            raise MistakeError(f"{option}: the family is {options.family}; leave out one of the two options")
        if text and not re.fullmatch("@.+", text) and not is_of(version, text):
            raise MistakeError(f"{option}: '{shown(text)}' is no IPv{version} address")
    return given


def _context(cacert: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=cacert or None)
    except OSError as error:  # also ssl.SSLError
        raise MistakeError(f"--cacert: cannot read '{cacert}': {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


# --- the token, and one run at a time ------------------------------------------------------------------


@contextlib.contextmanager
def open_token(settings: Settings, deadline: float) -> Iterator[str]:
    """Read the token, and lock its file, so that those who share a token take turns.

    It is the lock of ddnsd-update.sh too, and ends with the process.

    Raises:
        MistakeError: the file cannot be used.
        TemporaryError: another run is at work until `deadline` (of `time.monotonic`).
    """
    name = settings.token_file
    with _open(name) as file:
        _check_mode(file, name)
        while not _lock(file):
            if time.monotonic() >= deadline:
                raise TemporaryError(f"another run with '{name}' is still at work; this one gives up")
            if settings.verbose:
                say(f"another run with '{name}' is at work")
            time.sleep(1)
        yield _read_token(file, name)


def _open(name: str) -> TextIO:
    if not name:
        raise MistakeError("--token-file is missing: name the file that holds the token")
    try:
        return open(name, encoding="utf-8-sig")
    except OSError as error:
        raise MistakeError(f"--token-file: cannot read '{name}': {error.strerror}") from error


def _check_mode(file: TextIO, name: str) -> None:
    """Refuse a file that others can use, but not systemd's copy for this service, by an ACL or as owner."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise MistakeError(f"--token-file: '{name}' is no file")
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if os.name == "nt" or (credentials and name.startswith(f"{credentials}/")):
        return
    if status.st_mode & 0o077:
        raise MistakeError(
            f"--token-file: others may read or write '{name}': run 'chmod 600 {name}'; if they have read it,"
            " have a new token made"
        )


def _read_token(file: TextIO, name: str) -> str:
    try:
        token = file.read(10_000).rstrip("\r\n")
    except ValueError:  # not UTF-8
        token = ""
    if not re.fullmatch("[!-~]+", token):
        raise MistakeError(f"--token-file: '{name}' is to hold the token alone, on one line, without blanks")
    return token


if sys.platform == "win32":
    import msvcrt

    def _lock(file: TextIO) -> bool:
        os.lseek(file.fileno(), 1 << 30, os.SEEK_SET)  # beyond its end: the lock keeps nobody from reading
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(file.fileno(), 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _lock(file: TextIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


# --- one call ------------------------------------------------------------------------------------------


class _Connection(http.client.HTTPConnection):
    """A connection over one family, or any (0), that is cut off after so many seconds."""

    def __init__(
        self, server: SplitResult, context: ssl.SSLContext | None, version: int, seconds: float
    ) -> None:
        self.default_port = 443 if context else 80
        super().__init__(server.hostname or "", server.port)
        self._context = context
        self._family = {4: socket.AF_INET, 6: socket.AF_INET6}.get(version, socket.AF_UNSPEC)
        self._seconds = seconds
        self._cut = threading.Timer(seconds, self._shut_down)
        self._cut.daemon = True
        self.overdue = False

    def connect(self) -> None:
        """Connect to the first of the server's addresses that takes it (http.client calls this)."""
        self._cut.start()
        failure: OSError | None = None
        for family, kind, protocol, _, address in socket.getaddrinfo(
            self.host, self.port, self._family, socket.SOCK_STREAM
        ):
            self.sock = socket.socket(family, kind, protocol)
            self.sock.settimeout(min(CONNECT_SECONDS, self._seconds))
            try:
                self.sock.connect(address)
            except OSError as error:
                self.sock.close()
                failure = error
                continue
            self.sock.settimeout(self._seconds)
            if self._context:
                self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host)
            return
        raise failure or OSError("the server's name has no address")

    def close(self) -> None:
        """Close it, and take back the alarm."""
        self._cut.cancel()
        super().close()

    def _shut_down(self) -> None:
        self.overdue = True
        with contextlib.suppress(OSError, AttributeError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)  # below TLS, which another thread is using


class Answer(NamedTuple):
    """What came back."""

    status: int
    retry_after: float
    body: bytes


class Server:
    """ddnsd, as one run sees it."""

    def __init__(self, settings: Settings, token: str, deadline: float) -> None:
        """Say when all is to be over: `deadline`, of `time.monotonic`."""
        self._settings = settings
        self._token = token
        self._deadline = deadline

    def detect(self, version: int) -> str:
        """Return the address that ddnsd sees over this IP version.

        Raises:
            RefusedError, TemporaryError: see there.
        """
        address = shown(str(self._call("GET", "/api/ddns/ip", version)["data"].get("ip", "")))
        if not is_of(version, address):
            raise TemporaryError(
                f"ddnsd sees '{address}', which is no IPv{version} address; is a proxy between?"
            )
        return address

    def update(self, domain: str, addresses: Mapping[int, str]) -> dict[str, Any]:
        """Send the addresses of one name; return the `data` of the answer.

        Raises:
            RefusedError, TemporaryError: see there.
        """
        fields = {"domain": domain}
        for version, address in addresses.items():
            fields[{4: "ip", 6: "ipv6"}[version]] = address
        data: dict[str, Any] = self._call("POST", "/api/ddns/update", fields=fields)["data"]
        return data

    def _call(
        self, method: str, path: str, version: int = 0, fields: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        headers = {"User-Agent": f"{PROGRAM}/{VERSION}", "Connection": "close"}
        if fields is not None:
            headers["Authorization"] = f"Bearer {self._token}"
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        seconds = min(self._settings.timeout, max(1.0, self._deadline - time.monotonic()))
        server = self._settings.server
        path = server.path.rstrip("/") + path
        connection = _Connection(server, self._settings.context, version, seconds)
        try:
            connection.request(method, path, urlencode(fields or {}) or None, headers)
            answer = _read(connection)
            if connection.overdue:  # what was cut off may look like a short answer
                raise TimeoutError
        except (OSError, http.client.HTTPException) as error:
            said = f"none within {seconds:.0f} s" if connection.overdue else shown(str(error)) or repr(error)
            raise TemporaryError(f"no answer: {said}") from error
        finally:
            connection.close()
        return judge(answer)


def _read(connection: http.client.HTTPConnection) -> Answer:
    with connection.getresponse() as response:
        retry_after = _retry_after(response.headers.get("Retry-After", ""))
        return Answer(response.status, retry_after, response.read(LARGEST_ANSWER))


def _retry_after(text: str) -> float:
    """Read seconds or a date (RFC 9110 §10.2.3); 0 if it is neither."""
    if re.fullmatch(" *[0-9]{1,6} *", text):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, IndexError):
        return 0.0


def judge(answer: Answer) -> dict[str, Any]:
    """Return the JSON of a success.

    Raises:
        RefusedError, TemporaryError: see there.
    """
    status = answer.status
    try:
        reply = json.loads(answer.body)
    except ValueError:
        reply = None
    if not isinstance(reply, dict):
        reply = {}
    if status == 200 and reply.get("success") is True and isinstance(reply.get("data"), dict):
        return reply
    said = shown(str(reply.get("error", "")))
    reason = f"{said} (HTTP {status}: {_meaning(status)})".strip()
    if 200 <= status < 300 or status in (408, 425, 429) or status >= 500:
        raise TemporaryError(reason, status, answer.retry_after)
    raise RefusedError(reason, status)


def _meaning(status: int) -> str:
    if 300 <= status < 400:
        return "a redirect, which is not followed; write its target as server"
    return MEANINGS.get(status, "the server cannot do it now" if status >= 500 else STRANGE)


# --- the addresses -------------------------------------------------------------------------------------


def is_of(version: int, text: str) -> bool:
    """Say whether the text is an address of this IP version."""
    try:
        return ipaddress.ip_address(text).version == version and "%" not in text
    except ValueError:
        return False


def interface_address(version: int, name: str) -> str:
    """Return the lasting global address of an interface of Linux, rather a public one than a ULA (RFC 4193).

    Raises:
        TemporaryError: it has none, or there is no such interface.
    """
    found = [] if sys.platform == "win32" else _ipv4_of(name) if version == 4 else _ipv6_of(name)
    if not found:
        if sys.platform != "win32" and not _is_interface(name):
            raise TemporaryError(f"there is no interface '{shown(name)}'")
        raise TemporaryError(f"the interface '{shown(name)}' has no lasting global one")
    return min(found, key=lambda address: address.startswith(("fc", "fd")))


def _is_interface(name: str) -> bool:
    try:
        socket.if_nametoindex(name)
    except (OSError, ValueError):
        return False
    return True


def _ipv4_of(name: str) -> list[str]:
    import fcntl  # not on Windows
    import struct

    request = struct.pack("256s", name.encode()[:15])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            answer = fcntl.ioctl(any_socket, 0x8915, request)  # SIOCGIFADDR, netdevice(7)
        except OSError:
            return []
    address = ipaddress.IPv4Address(answer[20:24])
    return [] if address.is_loopback or address.is_link_local else [str(address)]


def _ipv6_of(name: str) -> list[str]:
    """Read the kernel's table; its columns are address, index, prefix length, scope, flags, name; all hex."""
    unwanted = 0x01 | 0x08 | 0x20 | 0x40  # temporary, DAD failed, deprecated, tentative: linux/if_addr.h
    try:
        with open("/proc/net/if_inet6") as file:
            lines = [line.split() for line in file]
    except OSError:
        return []
    return [
        str(ipaddress.IPv6Address(int(address, 16)))
        for address, _, _, scope, flags, interface in lines
        if interface == name and scope == "00" and not int(flags, 16) & unwanted
    ]


# --- the run -------------------------------------------------------------------------------------------


class Run:
    """One run: find out the addresses, send them for each name, try again what fails for now."""

    def __init__(self, settings: Settings, server: Server, deadline: float) -> None:
        """Say when all is to be over: `deadline`, of `time.monotonic`."""
        self._settings = settings
        self._server = server
        self._deadline = deadline
        self._addresses: dict[int, str] = {}
        self._lacking: list[str] = []
        self._pending = list(settings.domains)
        self._refused = False

    def do(self) -> int:
        """Do it; return the exit status."""
        try:
            self._persist(self._find_addresses)
        except (RefusedError, TemporaryError) as failure:
            say(str(failure))
            return REFUSED if isinstance(failure, RefusedError) else LATER
        try:
            self._persist(self._update_pending)
        except TemporaryError as failures:
            for line in str(failures).splitlines():
                say(line)
        lacks = self._lacking if self._settings.family == "both" else []
        for line in lacks:
            say(line)
        return REFUSED if self._refused else LATER if self._pending or lacks else DONE

    def _persist(self, action: Callable[[], T]) -> T:
        """Do it until it does not fail for now, or the time is over.

        Pauses grow, and are random from nothing on, but never shorter than the server asks for
        (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
        """
        most = float(self._settings.retry_delay)
        while True:
            try:
                return action()
            except TemporaryError as failure:
                pause = failure.retry_after + secrets.SystemRandom().uniform(0, most)
                if time.monotonic() + pause >= self._deadline:
                    raise
                self._note(f"{failure}; again in {pause:.1f} s")
            time.sleep(pause)
            most = min(most * 2, LONGEST_PAUSE)

    def _find_addresses(self) -> None:
        """Find out at least one address."""
        failures = {version: self._try_address(version) for version in self._settings.families}
        self._lacking = [f"no IPv{version} address: {why}" for version, why in failures.items() if why]
        for line in self._lacking:
            self._note(line)
        if self._addresses:
            return
        reason = "; ".join(self._lacking)
        for failure in failures.values():
            if isinstance(failure, RefusedError):
                raise RefusedError(reason, failure.status)
        raise TemporaryError(reason, retry_after=_longest(failures.values()))

    def _try_address(self, version: int) -> RefusedError | TemporaryError | None:
        """Find out the address; return why not."""
        given = self._settings.given[version]
        try:
            if given.startswith("@"):
                address = interface_address(version, given[1:])
            else:
                address = given or self._server.detect(version)
        except (RefusedError, TemporaryError) as failure:
            return failure
        self._addresses[version] = address
        self._note(f"IPv{version} address: {address}")
        return None

    def _update_pending(self) -> None:
        """Update each of the pending names; those that fail for now are pending still."""
        failures: dict[str, TemporaryError] = {}
        failure: RefusedError | TemporaryError | None = None
        for domain in self._pending:
            if failure and failure.status == 401:  # the token is the same for all
                break
            if not failure or failure.status != 429:  # and so is its limit
                failure = self._try_update(domain)
            if isinstance(failure, TemporaryError):
                failures[domain] = failure
        if failure and failure.status == 401:
            failures.clear()
        self._pending = list(failures)
        if failures:
            reasons = "\n".join(f"{domain}: {failure}" for domain, failure in failures.items())
            raise TemporaryError(reasons, retry_after=_longest(failures.values()))

    def _try_update(self, domain: str) -> RefusedError | TemporaryError | None:
        """Update the name; return why not."""
        try:
            self._update(domain)
        except TemporaryError as failure:
            return failure
        except RefusedError as failure:
            say(f"{domain}: {failure}")
            self._refused = True
            return failure
        return None

    def _update(self, domain: str) -> None:
        records = list(_changed(self._server.update(domain, self._addresses)))
        if records:
            print(f"{domain}: {', '.join(dict.fromkeys(records))}", flush=True)
        self._note(f"{domain}: done")

    def _note(self, text: str) -> None:
        if self._settings.verbose:
            say(text)


def _longest(failures: Iterable[Exception | None]) -> float:
    return max(failure.retry_after for failure in failures if isinstance(failure, TemporaryError))


def _changed(data: object) -> Iterator[str]:
    """Tell the records that have changed: each object in the answer that says so is one."""
    if isinstance(data, dict):
        if data.get("updated") is True and "record_type" in data:
            old = data.get("old_ip")
            yield shown(f"{data['record_type']} {data.get('ip')} ({f'was {old}' if old else 'new'})")
        data = list(data.values())
    for part in data if isinstance(data, list) else ():
        yield from _changed(part)


def _wait_at_random(settings: Settings) -> None:
    pause = secrets.SystemRandom().uniform(0, settings.delay)
    if settings.verbose:
        say(f"waiting {pause:.1f} s first")
    time.sleep(pause)


def main(arguments: list[str]) -> int:
    """Do what the command line says; return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        settings = read_settings(arguments)
        if settings.delay:
            _wait_at_random(settings)
        deadline = time.monotonic() + settings.max_time
        with open_token(settings, deadline) as token:
            return Run(settings, Server(settings, token, deadline), deadline).do()
    except MistakeError as error:
        say(str(error))
        return MISTAKE
    except TemporaryError as error:
        say(str(error))
        return LATER


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
