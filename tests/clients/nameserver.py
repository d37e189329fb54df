"""BIND as resolvers and certificate authorities find it."""

from tests.rigs.bind import BindRig


class Nameserver(BindRig):
    """BIND on the port of DNS, which resolvers have no choice of; its zone says where it is."""

    @property
    def port(self) -> int:
        return 53

    def zone_file(self, zone: str) -> str:
        return super().zone_file(zone).replace(" A 127.0.0.1", f" A {self.address}")
