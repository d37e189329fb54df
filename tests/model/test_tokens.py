"""Secrets are known by their SHA-256."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ddnsd.model.resources import (
    MAX_SECRET_LENGTH,
    MIN_SECRET_LENGTH,
    InvalidSecretError,
    digest,
    read_secret,
)


def test_a_digest_is_the_sha256_of_the_utf8_text() -> None:
    assert digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest("密") == "0e3d8855d6491cae77c6c92f09c041da1a4903c725883f158b55198cb10b1360"


@given(st.text())
@example("\ud800")
@example("a" * 1_000_000)
def test_every_text_has_one(secret: str) -> None:
    assert re.fullmatch("[0-9a-f]{64}", digest(secret))


@pytest.mark.parametrize(
    ("raw", "secret"),
    [
        (b"a-secret-of-16-ch", "a-secret-of-16-ch"),
        (b" \n" + b"x" * MIN_SECRET_LENGTH + b"\r\n", "x" * MIN_SECRET_LENGTH),
        ("密".encode() * MAX_SECRET_LENGTH, "密" * MAX_SECRET_LENGTH),
    ],
)
def test_a_secret_that_was_made_elsewhere_is_taken_without_the_white_space_around_it(
    raw: bytes, secret: str
) -> None:
    assert read_secret(raw) == secret


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\xff" * MIN_SECRET_LENGTH, "it is not UTF-8 text"),
        (b"x" * (MIN_SECRET_LENGTH - 1), "a secret has 16 to 1024 characters"),
        (b"x" * (MAX_SECRET_LENGTH + 1), "a secret has 16 to 1024 characters"),
        (b"two lines of one\nsecret that is long", "a secret is one line of printable characters"),
        (b"with a zero octet\0 in its middle", "a secret is one line of printable characters"),
    ],
)
def test_what_is_no_secret(raw: bytes, reason: str) -> None:
    with pytest.raises(InvalidSecretError, match=reason):
        read_secret(raw)
