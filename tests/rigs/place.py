"""Where a server runs: on the loopback, or with an address of its own in a network namespace of its own."""

from typing import NamedTuple

from tests.rigs.ports import ADDRESS


class Place(NamedTuple):
    """An IPv4 address, and the network namespace (ip-netns(8)) that has it; "": the machine's own."""

    address: str
    namespace: str = ""

    def command(self, *command: str) -> list[str]:
        """Return the command that runs another one here, in the same process."""
        return [*(("nsenter", f"--net=/run/netns/{self.namespace}") if self.namespace else ()), *command]


LOOPBACK = Place(ADDRESS)
