"""The one word for an answer, which the metrics of requests count."""

import pytest

from ddnsd.model.addresses import Family
from ddnsd.model.request import (
    Limited,
    Moved,
    Refusal,
    Skipped,
    Unchanged,
    Updated,
    UpdateResult,
    result_of,
)

BLOG, PREFIX = "blog.example.com", "2001:db8:1::/64"
UPDATED = Updated(BLOG, "192.0.2.1", Family.A, "")
UNCHANGED = Unchanged(BLOG, "2001:db8::1", Family.AAAA)
SKIPPED = Skipped(BLOG, "192.0.2.1", Family.A, Refusal.FAMILY_MISMATCH)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (Refusal.NAMESERVER_FAILED, "nameserver_failed"),
        (Limited(3.0), "limited"),
        ((UPDATED,), "updated"),
        ((UNCHANGED, UPDATED), "updated"),
        ((UNCHANGED, SKIPPED), "unchanged"),
        ((Moved(BLOG, PREFIX, 3, 1),), "updated"),
        ((Moved(BLOG, PREFIX, 3, 0),), "unchanged"),
        ((), "unchanged"),
    ],
)
def test_the_word_says_whether_anything_was_changed(answer: UpdateResult, word: str) -> None:
    assert result_of(answer) == word
