"""The fence's text, and what of a TXT record is one."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ddnsd.model.fence import Fence, FenceOwner, parse_fence

TEXT = "ddnsd1 installation=9f3a cluster=embedded epoch=42 claim=c0ffee"
IDS = st.text("0123456789abcdef-", min_size=1, max_size=64)
FENCES = st.builds(Fence, st.builds(FenceOwner, IDS, IDS), st.integers(0, 2**63 - 1), IDS)


def test_a_fence_is_written_and_read_like_this() -> None:
    fence = Fence(FenceOwner("9f3a", "embedded"), 42, "c0ffee")
    assert fence.text == TEXT
    assert parse_fence(TEXT) == fence


@given(FENCES)
def test_every_fence_is_read_back_and_fits_one_txt_string(fence: Fence) -> None:
    assert parse_fence(fence.text) == fence
    assert len(fence.text.encode()) <= 255


@pytest.mark.parametrize(
    "text",
    [
        *("", "v=spf1 -all", TEXT.removesuffix("c0ffee"), TEXT + " ", " " + TEXT, TEXT + "\n", TEXT + " x=1"),
        *(TEXT.replace("ddnsd1", "ddnsd2"), TEXT.replace(" ", "  "), TEXT.replace("epoch", "Epoch")),
        *(TEXT.replace("42", text) for text in ("", "-42", "4.2", "0x2a", "042", "４２", "٤٢", "9" * 20)),
        pytest.param(TEXT.replace("42", "9" * 5000), id="an epoch of 5000 digits"),
    ],
)
def test_anything_else_is_not_a_fence(text: str) -> None:
    assert parse_fence(text) is None


@given(st.text() | st.text(st.sampled_from("ddnsd1 installation=cluster=epoch=claim=0１")))
@example("ddnsd1 installation=a cluster=b cluster=c epoch=1 claim=d")
def test_whatever_is_read_as_a_fence_is_that_fences_text(text: str) -> None:
    fence = parse_fence(text)
    assert fence is None or fence.text == text
