"""Asks ddnsd whether it answers: the URL of /healthz, and perhaps a nameserver's name and port."""

import socket
import ssl
import sys
import urllib.request

import dns.message
import dns.query

url, *nameserver = sys.argv[1:]
anybody = ssl.create_default_context()
anybody.check_hostname = False  # the certificate is for the public name, not for the Service's
anybody.verify_mode = ssl.CERT_NONE
with urllib.request.urlopen(url, timeout=10, context=anybody) as answer:
    print(url, answer.status)
if nameserver:
    name, port = nameserver
    (*_, address), *_ = socket.getaddrinfo(name, port)
    query = dns.message.make_query("example.com", "SOA")
    for ask in dns.query.tcp, dns.query.udp:
        print(name, ask.__name__, ask(query, address[0], timeout=10, port=int(port)).rcode())
