"""Whether etcd's answers belong to the history that this client has seen."""

from ddnsd.etcd.errors import ClusterChangedError, RevisionRegressedError
from ddnsd.etcd.messages import AnyMessage


class Timeline:
    """One cluster's history: its id, and the highest revision that is known to be committed.

    A restored snapshot has a new cluster id; a data folder copied back has not, but its linearizable
    answers lie below what was known. A low revision of a watch or of a serializable read proves nothing:
    the member may lag behind.
    """

    def __init__(self) -> None:
        self.cluster_id: int | None = None  # until the first answer
        self.revision = 0

    def check_cluster(self, header: AnyMessage, endpoint: str) -> None:
        """Compare an answer's cluster id.

        Raises:
            ClusterChangedError: it is another one.
        """
        if self.cluster_id is None:
            self.cluster_id = header.cluster_id
        elif header.cluster_id != self.cluster_id:
            raise ClusterChangedError(
                f"{endpoint} belongs to cluster {header.cluster_id:x}, not to {self.cluster_id:x}"
            )

    def check_revision(self, revision: int, known: int) -> None:
        """Compare a linearizable answer with the revision that was known when the call began.

        Raises:
            RevisionRegressedError: it lies below.
        """
        if revision < known:
            raise RevisionRegressedError(f"revision {revision} answered after {known} had been seen")
        self.note(revision)

    def note(self, revision: int) -> None:
        """Remember a revision that is certainly committed."""
        self.revision = max(self.revision, revision)
