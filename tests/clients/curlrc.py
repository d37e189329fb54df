"""curl's choice of the HTTP version, by its ~/.curlrc."""

import pytest

from tests.clients.outcomes import Client, Scenario, shows

CURLRC = "/root/.curlrc"


def by_version(scenario: Scenario) -> pytest.MarkDecorator:
    """Run a test twice: with curl's own choice, and with HTTP/1.0; the argument `curlrc` is to be written."""
    return pytest.mark.parametrize(
        "curlrc",
        [
            pytest.param("", marks=shows(Client.CURL, scenario), id="curl"),
            pytest.param("http1.0\n", marks=shows(Client.CURL_1_0, scenario), id="http1.0"),
        ],
    )
