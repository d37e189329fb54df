"""Nameservers: the publisher's interface, RFC 2136 behind it, and the embedded one."""
