"""Secrets are known by their SHA-256."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from ddnsd.model.resources import digest


def test_a_digest_is_the_sha256_of_the_utf8_text() -> None:
    assert digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest("密") == "0e3d8855d6491cae77c6c92f09c041da1a4903c725883f158b55198cb10b1360"


@given(st.text())
@example("\ud800")
@example("a" * 1_000_000)
def test_every_text_has_one(secret: str) -> None:
    assert re.fullmatch("[0-9a-f]{64}", digest(secret))
