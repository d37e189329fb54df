"""What another site's page may have a browser send."""

from base64 import b64encode
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders

from ddnsd.web.client_address import is_forged

BASIC = {"Authorization": "Basic " + b64encode(b"alice:secret").decode(), "Host": "d.example:8443"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "Cross-Site", "Origin": "https://d.example:8443"},
        {"Sec-Fetch-Site": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "https://d.example"},
        {"Origin": "https://d.example:8443.evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[::1"},
        {"Origin": "https://d.example:8443", "Host": ""},
    ],
)
def test_what_a_page_has_a_browser_send_with_remembered_credentials_is_forged(
    headers: dict[str, str],
) -> None:
    assert is_forged(HTTPHeaders(BASIC | headers))
    assert is_forged(HTTPHeaders(BASIC | headers | {"Authorization": "bAsIc eA=="}))
    for own in ("Bearer x", ""):
        assert not is_forged(HTTPHeaders(BASIC | headers | {"Authorization": own}))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://public.example"},  # a proxy writes its own Host
        {"Origin": "https://D.example:8443"},
        {"Origin": "http://d.example:8443"},
        {"Referer": "https://evil.example/"},
    ],
)
def test_clients_and_pages_of_this_site_are_not(headers: dict[str, Any]) -> None:
    assert not is_forged(HTTPHeaders(BASIC | headers))
