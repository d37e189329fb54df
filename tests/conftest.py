"""For all tests: how many rounds, no stray error in the log, and no skipped test in CI."""

import logging
import os
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import settings

from tests.rigs.former import SHALLOW
from tests.share import FULL_SHARE

pytest_plugins = ["tests.rigs.fixtures"]
pytest.register_assert_rewrite("tests.store.contract")  # whoever imports it first

IN_CI = os.environ.get("CI") == "true"

# A fixed seed: the same examples every time. No deadline: the machine may be busy with other tests.
settings.register_profile("ddnsd", derandomize=True, deadline=None, max_examples=1000 if FULL_SHARE else 100)
settings.load_profile("ddnsd")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "logs_errors: provokes what is logged as an error")
    # What the parts log goes where `caplog` looks, with its fields.
    structlog.configure(
        processors=[_rename_name, structlog.stdlib.render_to_log_kwargs],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def _rename_name(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Make room: a `LogRecord` has a name of its own."""
    if "name" in event:
        event["domain_name"] = event.pop("name")
    return event


@pytest.fixture(scope="session")
def rounds() -> Callable[[int, int], int]:
    """Choose how often a test marked `faults` repeats: `rounds(everyday, full)`.

    `make test-faults` (FAULT_SHARE=full) runs the full number.
    """
    return lambda everyday, full: full if FULL_SHARE else everyday


@pytest.fixture(autouse=True)
def no_stray_errors(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test that passes while something behind it logs an error."""
    yield
    if request.node.get_closest_marker("logs_errors"):
        return
    stray = [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert not stray, f"logged as errors: {[record.getMessage() for record in stray]}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """In CI everything is there, so a skipped test is a failed one."""
    report = yield
    return _failed_if_skipped(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """The same for a module that skips itself."""
    report = yield
    return _failed_if_skipped(report)


def _failed_if_skipped(report: Any) -> Any:
    if not (IN_CI and report.skipped) or hasattr(report, "wasxfail"):
        return report
    if SHALLOW not in str(report.longrepr):  # what is no package that could be installed
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report
