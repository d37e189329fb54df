"""The secret that a token had before its last change, while it is still valid. Pure."""

from datetime import datetime, timedelta

from ddnsd.model.records import Resource
from ddnsd.model.resources import TokenSpec, previous_name
from ddnsd.service.registry.draft import Draft


def keep_previous(draft: Draft, name: str, new: Resource[TokenSpec]) -> None:
    """Keep the secret that this change of a token replaces, as a token of its own, or drop the kept one.

    It may do what the changed token may. A token that is disabled, or passes to another account, keeps
    none: its former holders are to be kept out at once.
    """
    previous, old = previous_name(name), draft.tokens.get(name)
    kept = draft.tokens.get(previous)
    spec = _former(old.spec, kept.spec if kept else None, new.spec, draft.now) if old else None
    if spec is not None and draft.holder(spec.sha256) not in (None, name, previous):
        spec = None  # another token has it by the same commit: a secret is one token's
    resource = Resource(spec, origin=new.origin) if spec else None
    if resource is None and kept is not None:
        draft.tokens.drop(previous)
    elif resource is not None and resource != kept:
        draft.put_token(previous, resource)


def _former(old: TokenSpec, kept: TokenSpec | None, new: TokenSpec, now: datetime) -> TokenSpec | None:
    """Return what is kept: of `old` if the secret changes now, else of what was kept before."""
    former = kept if old.sha256 == new.sha256 else old
    if former is None or former.disabled or new.disabled or old.account != new.account:
        return None
    ends = [now + timedelta(seconds=new.rotation_overlap), former.expires, new.expires]
    expires = min(end for end in ends if end is not None)
    if expires <= now:
        return None
    return TokenSpec(new.account, former.sha256, new.hosts, expires, scopes=new.scopes)
