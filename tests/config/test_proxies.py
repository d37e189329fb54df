"""Whose headers are believed."""

from pathlib import Path

import pytest

from ddnsd.config import ConfigError, load


def test_the_proxy_protocol_wants_proxies(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("listen: {proxy_protocol: true}\n")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    (mistake,) = map(str, caught.value.problems)
    assert mistake == (
        "listen.proxy_protocol: true: write the proxies' networks in trusted_proxies: "
        "nobody else's header is read"
    )
    settings = load(path, {"DDNSD_TRUSTED_PROXIES": "10.0.0.0/8"})
    assert settings.listen.proxy_protocol
