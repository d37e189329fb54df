"""What the controller writes below a custom resource's `status`: conditions, and a host's addresses.

Conditions are those of the Kubernetes API conventions ("Typical status properties").
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from ddnsd.model.resources import Kind
from ddnsd.service.status import RecordStatus

Truth = Literal["True", "False", "Unknown"]


class ConditionType(StrEnum):
    """The conditions of a custom resource."""

    ACCEPTED = "Accepted"
    PUBLISHED = "Published"  # of a Host only
    READY = "Ready"  # both above in one, for tools (kstatus, `kubectl wait`)
    SECRET_LABELLED = "SecretLabelled"  # noqa: S105 - of a Token only, where it is not


CONDITION_TYPES = frozenset(ConditionType)


class Publication(StrEnum):
    """How far a Host is: `reason` of its condition Published."""

    PUBLISHED = "Published"
    PENDING = "Pending"
    NO_ADDRESS = "NoAddress"
    REFUSED = "Refused"
    NAME_IN_USE = "NameInUse"


class Condition(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One condition as it stands in the object."""

    type: Annotated[
        str,
        Meta(description="Accepted: ddnsd works by it; Published: the nameserver has it; Ready: all is well"),
    ]
    status: Annotated[Truth, Meta(description="True, False or Unknown")]
    reason: Annotated[str, Meta(description="why, in one word for programs")]
    message: Annotated[str, Meta(description="why, and what to do, for people")]
    last_transition_time: Annotated[datetime, Meta(tz=True, description="when `status` changed last")]
    observed_generation: Annotated[int, Meta(description="of the object that this was said of")]


class ObjectStatus(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What every kind has."""

    observed_generation: Annotated[int, Meta(description="generation of the object that was seen last")] = 0
    installation: Annotated[str, Meta(description="id of the installation that works by the object")] = ""
    conditions: Annotated[
        tuple[Condition, ...], Meta(description="what holds of the object now, one of each type")
    ] = ()


class HostObjectStatus(ObjectStatus, frozen=True, kw_only=True, rename="camel"):
    """A host's addresses, as the admin API tells them, and in one line for `kubectl get`."""

    address: Annotated[str, Meta(description="its addresses")] = ""
    family: Annotated[str, Meta(description="their families")] = ""
    changed: Annotated[datetime, Meta(tz=True, description="when one of them changed last")] | None = None
    published: Annotated[str, Meta(description="yes, or why not")] = ""
    A: RecordStatus | None = None
    AAAA: RecordStatus | None = None


class TokenObjectStatus(ObjectStatus, frozen=True, kw_only=True, rename="camel"):
    """Where a token's secret is."""

    secret_name: Annotated[str, Meta(description="the Secret, in this namespace, that holds it")] = ""
    secret_key: Annotated[str, Meta(description="the key in its data")] = ""
    follows_unlabelled: Annotated[
        bool,
        Meta(description="accepted before Secrets needed a label: it follows this one without, until 0.2"),
    ] = False


STATUSES: dict[Kind, type[ObjectStatus]] = {
    Kind.ZONE: ObjectStatus,
    Kind.ACCOUNT: ObjectStatus,
    Kind.HOST: HostObjectStatus,
    Kind.TOKEN: TokenObjectStatus,
}


class ConditionValue(NamedTuple):
    """A condition that was found now; `conditions` finds when it began."""

    type: ConditionType
    holds: bool
    reason: str
    message: str


def conditions(
    findings: Sequence[ConditionValue], before: Sequence[Condition], generation: int, now: datetime
) -> tuple[Condition, ...]:
    """Return the findings as conditions; one that was so before keeps the time of its last transition."""
    old = {condition.type: condition for condition in before}
    return tuple(_condition(finding, old.get(finding.type), generation, now) for finding in findings)


def _condition(
    finding: ConditionValue, before: Condition | None, generation: int, now: datetime
) -> Condition:
    status: Truth = "True" if finding.holds else "False"
    since = before.last_transition_time if before is not None and before.status == status else now
    return Condition(
        type=finding.type,
        status=status,
        reason=finding.reason,
        message=finding.message,
        last_transition_time=since,
        observed_generation=generation,
    )
