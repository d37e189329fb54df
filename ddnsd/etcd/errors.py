"""What can go wrong, and what is then known of the request.

EtcdError
├── EtcdUnavailableError      no member could answer within the time; may work later
│   ├── CertificateError      no connection, as one side does not accept the other's certificate
│   ├── NoLeaderError         the member has no leader: fewer than half of the members are there
│   └── MemberRefusedError    this member does not do it, another may: a learner, or no etcd at all
│       └── MemberOverloadedError  it has too many requests to do
├── RequestRefusedError       etcd refused this request; sent again it is refused again
│   ├── EtcdCompactedError    the revision is no longer kept
│   ├── LeaseNotFoundError    the lease has ended, or never was
│   ├── LeaseExistsError      the chosen lease id is taken
│   ├── NoSpaceError          the NOSPACE alarm is on: the quota is used up
│   ├── AuthenticationError   wrong user, password or token
│   └── PermissionDeniedError the role does not allow it
├── CampaignLostError         the candidate's key or lease has gone before it was elected
├── UnknownOutcomeError       perhaps applied, perhaps still to be applied
└── EtcdRestoredError         this is not the history that the client knew; a write may be in the new one

Of all but the last two nothing was changed.
"""

import grpc


class EtcdError(Exception):
    """Any failure that this package raises."""


class EtcdUnavailableError(EtcdError):
    """No member could answer within the caller's time."""


class CertificateError(EtcdUnavailableError):
    """TLS fails: a certificate is over, or by another authority, or etcd wants one and gets none."""


class NoLeaderError(EtcdUnavailableError):
    """The members cannot agree on a leader: too many of them are not there."""


class MemberRefusedError(EtcdUnavailableError):
    """The member, or whatever listens at its address, does not do such calls; another member may."""


class MemberOverloadedError(MemberRefusedError):
    """The member has more requests waiting than it takes; later, or elsewhere, it may work."""


class RequestRefusedError(EtcdError):
    """etcd looked at the request and refused it."""


class EtcdCompactedError(RequestRefusedError):
    """History up to a revision is gone; `compact_revision` is the oldest that is kept, 0 if not told."""

    def __init__(self, message: str, compact_revision: int = 0) -> None:
        super().__init__(message)
        self.compact_revision = compact_revision


class LeaseNotFoundError(RequestRefusedError):
    """There is no such lease."""


class LeaseExistsError(RequestRefusedError):
    """There is already a lease with this id."""


class NoSpaceError(RequestRefusedError):
    """The database has reached its quota; only reads and deletes work until the alarm is disarmed."""


class AuthenticationError(RequestRefusedError):
    """etcd does not accept the user, the password or the token."""


class PermissionDeniedError(RequestRefusedError):
    """The user's roles do not allow this."""


class CampaignLostError(EtcdError):
    """The candidate left the queue (lease over, or key deleted by somebody) before it was elected."""


class UnknownOutcomeError(EtcdError):
    """The answer to a write was lost: it may be applied, even later. Read back; never resend blindly."""


class EtcdRestoredError(EtcdError):
    """etcd's history is not the one that this client has seen before.

    It has another cluster id, or gives a linearizable answer below a revision known when the call began.
    """


# etcd: api/v3rpc/rpctypes/error.go. The texts are its interface: several share one gRPC code.
_BY_TEXT: tuple[tuple[str, type[EtcdError]], ...] = (
    ("required revision has been compacted", EtcdCompactedError),
    ("requested lease not found", LeaseNotFoundError),
    ("lease already exists", LeaseExistsError),
    ("database space exceeded", NoSpaceError),
    ("too many requests", MemberOverloadedError),  # of this member: it is far behind in applying them
    ("not supported for learner", MemberRefusedError),  # UNAVAILABLE before etcd 3.6
    ("not capable", MemberRefusedError),  # UNAVAILABLE before etcd 3.6; of a member that starts
    ("permission denied", PermissionDeniedError),
    ("authentication failed", AuthenticationError),
    ("user name is empty", AuthenticationError),
    ("invalid auth token", AuthenticationError),
    ("revision of auth store is old", AuthenticationError),
)
_REFUSALS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)
# What answers at the address without being an etcd: another gRPC server, or any web server or proxy, of whose
# status gRPC makes a code (grpc: doc/http-grpc-status-mapping.md).
_NOT_ETCD = ("Received http2 header with status", "invalid content-type", "malformed header")
# In BoringSSL's and gRPC's words: the handshake failed; or, with TLS 1.3, the server has refused our
# certificate after it, with an alert that gRPC takes for corrupt data.
_TLS = ("CERTIFICATE_", "TSI_PROTOCOL_FAILURE", "TSI_DATA_CORRUPTED", "ALERT_")
# A token that a restarted member has forgotten, or that is older than a change of the roles.
_STALE_TOKEN = ("invalid auth token", "revision of auth store is old", "user name is empty")


def refusal(text: str) -> EtcdError:
    """Return the typed error for etcd's text: a `RequestRefusedError`, or one of this member alone."""
    for part, kind in _BY_TEXT:
        if part in text:
            return kind(text)
    return RequestRefusedError(text)


def translate(error: grpc.aio.AioRpcError) -> EtcdError:
    """Return what a failed call means: refused, certainly not begun, or (all the rest) unknown.

    A refusal is etcd's as a whole unless it is known to be of one member.
    """
    text = f"{error.code().name}: {error.details()}"
    if error.code() is grpc.StatusCode.UNIMPLEMENTED or any(part in text for part in _NOT_ETCD):
        return MemberRefusedError(text)
    if error.code() in _REFUSALS:
        return refusal(text)
    if isinstance(found := refusal(text), MemberRefusedError):
        return found
    # v3rpc/interceptor.go: checked before the call is looked at, as we send `hasleader`.
    if "etcdserver: no leader" in text:
        return NoLeaderError(text)
    return UnknownOutcomeError(text)


def no_connection(endpoint: str, details: str) -> EtcdUnavailableError:
    """Return the error for an endpoint, by what gRPC says of its last try to connect."""
    reason = details.rpartition("last error: ")[2]
    kind = CertificateError if any(word in reason for word in _TLS) else EtcdUnavailableError
    return kind(f"{endpoint}: no connection: {reason}")


def unavailable(error: EtcdError) -> EtcdUnavailableError:
    """Return the error of a call that was given up, by why its last try failed."""
    return error if isinstance(error, EtcdUnavailableError) else EtcdUnavailableError(str(error))


def is_stale_token(error: EtcdError) -> bool:
    """Say whether authenticating again may cure it."""
    return isinstance(error, AuthenticationError) and any(part in str(error) for part in _STALE_TOKEN)
