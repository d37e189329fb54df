"""The registry's errors as HTTP failures: translated here and nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager

from tornado.web import HTTPError

from ddnsd.service.problems import InvalidDocumentError
from ddnsd.service.registry import (
    NotFoundError,
    PartlyAppliedError,
    PartlyRestoredError,
    PreconditionFailedError,
    RefusedError,
    RegistryError,
    StoreFailedError,
)
from ddnsd.web.admin.shapes import Failure

_STATUSES: dict[type[Exception], int] = {
    InvalidDocumentError: 422,
    NotFoundError: 404,
    PreconditionFailedError: 412,
    RefusedError: 409,
    StoreFailedError: 503,
}


class FailedError(HTTPError):
    """A failure with its JSON body."""

    def __init__(self, status: int, failure: Failure) -> None:
        super().__init__(status)
        self.failure = failure


@contextmanager
def translated() -> Iterator[None]:
    """Turn what the registry raises into a failure.

    Raises:
        FailedError: instead of `RegistryError` and `InvalidDocumentError`.
    """
    try:
        yield
    except (RegistryError, InvalidDocumentError) as error:
        raise FailedError(_status(error), _failure(error)) from error


def _status(error: Exception) -> int:
    if isinstance(error, PartlyAppliedError | PartlyRestoredError):
        return _status(error.__cause__) if isinstance(error.__cause__, Exception) else 500
    return _STATUSES[type(error)]


def _failure(error: Exception) -> Failure:
    match error:
        case InvalidDocumentError():
            return Failure(str(error), error.problems)
        case RefusedError():
            return Failure(str(error), error.problems, error.count)
        case PartlyAppliedError():
            return Failure(str(error), applied=error.applied)
        case PartlyRestoredError():
            return Failure(str(error), imported=error.restored)
    return Failure(str(error))
