"""The fence: a TXT record by which a zone itself refuses UPDATEs of a leader that was replaced.

Every UPDATE carries the fence as a value-dependent prerequisite (RFC 2136 §2.4.2). Epochs are shown
to people and never compared by size: only equality counts.
"""

import re
from typing import NamedTuple

_TEXT = re.compile(
    r"ddnsd1 installation=(?P<installation>\S+) cluster=(?P<cluster>\S+) "
    r"epoch=(?P<epoch>0|[1-9][0-9]{0,18}) claim=(?P<claim>\S+)"  # an epoch is a revision, of 64 bits
)


class FenceOwner(NamedTuple):
    """The owner of a fence: the installation's random id, and the store's own (etcd: cluster id)."""

    installation: str
    cluster: str


class Fence(NamedTuple):
    """One claim on a zone. `claim` is random, so that no two claims are alike."""

    owner: FenceOwner
    epoch: int
    claim: str

    @property
    def text(self) -> str:
        """The TXT record's one string, below the 255 octets of RFC 1035 §3.3."""
        owner = self.owner
        return (
            f"ddnsd1 installation={owner.installation} cluster={owner.cluster} "
            f"epoch={self.epoch} claim={self.claim}"
        )


def parse_fence(text: str) -> Fence | None:
    """Return the fence that a TXT string says, or None if it is not one that we can read."""
    found = _TEXT.fullmatch(text)
    if found is None:
        return None
    return Fence(FenceOwner(found["installation"], found["cluster"]), int(found["epoch"]), found["claim"])
