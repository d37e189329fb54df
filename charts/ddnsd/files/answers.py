"""Asks ddnsd whether it answers: the URL of /healthz, and perhaps a nameserver's name and port."""

import socket
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable

import dns.exception
import dns.message
import dns.query

PATIENCE = 5.0  # seconds: a Service takes a moment to notice that a pod is ready

url, *nameserver = sys.argv[1:]
anybody = ssl.create_default_context()
anybody.check_hostname = False  # the certificate is for the public name, not for the Service's
anybody.verify_mode = ssl.CERT_NONE


def ask_over_http() -> None:
    """Raise, unless the answer is a success."""
    with urllib.request.urlopen(url, timeout=10, context=anybody) as answer:
        print(url, answer.status)


def ask_over_dns() -> None:
    """Raise, unless the nameserver answers over TCP and UDP, whatever it says."""
    name, port = nameserver
    (*_, address), *_ = socket.getaddrinfo(name, port)
    query = dns.message.make_query("example.com", "SOA")
    for ask in dns.query.tcp, dns.query.udp:
        print(name, ask.__name__, ask(query, address[0], timeout=10, port=int(port)).rcode())


def insist(ask: Callable[[], None]) -> None:
    """Ask until it works, and for no longer than one may wait for that."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except (OSError, dns.exception.Timeout):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)


insist(ask_over_http)
if nameserver:
    insist(ask_over_dns)
