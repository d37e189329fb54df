"""The token of etcd's authentication, shared by all calls of a client.

A simple token lives in the members' memory: it is forgotten when they restart, and is refused after a
change of users or roles.
"""

import asyncio
from collections.abc import Awaitable, Callable

from ddnsd.etcd.errors import RefusedError
from ddnsd.etcd.messages import AUTHENTICATE, AnyMessage
from ddnsd.etcd.settings import Credentials


class Token:
    """Authenticates when somebody first asks, and anew when the token of now is said to be stale."""

    def __init__(self, credentials: Credentials | None) -> None:
        self._credentials = credentials
        self._text: str | None = None if credentials else ""
        self._lock = asyncio.Lock()

    def reconfigure(self, credentials: Credentials | None) -> None:
        """Authenticate with these from the next time on.

        The token of now is used until etcd refuses it, which it does after a change of the password: so
        it does not matter whether etcd or we get to know a new one first.
        """
        if credentials is None or self._credentials is None:
            self._text = None if credentials else ""
        self._credentials = credentials

    @property
    def text(self) -> str | None:
        """The token; empty where none is needed, None before the first authentication."""
        return self._text

    @property
    def renewable(self) -> bool:
        """Say whether there are a user and a password to get another one."""
        return self._credentials is not None

    async def renew(self, stale: str | None, ask: Callable[[AnyMessage], Awaitable[AnyMessage]]) -> None:
        """Authenticate, unless somebody has already replaced the stale token; `ask` makes the call.

        Raises:
            EtcdError: what `ask` raises; AuthenticationError for a wrong user or password.
        """
        async with self._lock:
            if self._text != stale or self._credentials is None:
                return
            user, password = self._credentials.user, self._credentials.password
            try:
                answer = await ask(AUTHENTICATE.request(name=user, password=password))
            except RefusedError as error:
                if "authentication is not enabled" not in str(error):
                    raise
                self._text = ""
            else:
                self._text = answer.token
