"""Files that are written whole or not at all, never through what somebody else has put in their way.

A file is written beside its place, under a name that nobody can guess, and then renamed. So a reader sees
the old file or the new one, a crash leaves one of them, and a link at the name is replaced, not followed.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

_NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LONGEST_NAME = 200  # characters of a file's own name in its temporary one; file systems take 255 octets
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)  # of FAT, of some network shares
_NO_FOLDER_SYNC = (errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP)


class NotAFileError(OSError):
    """The name is that of a device, a pipe, a socket or a folder, which a file must not replace."""


def write(
    path: Path,
    parts: Iterable[bytes],
    *,
    mode: int = 0o600,
    replace: bool = True,
    durable: bool = True,
) -> None:
    """Write a file, if `durable` for good when this returns. With `replace` false a file that is there stays.

    Raises:
        FileExistsError: without `replace`, there is one.
        NotAFileError: something else stands there, or where a link there leads.
        OSError: it cannot be written; what was there is as it was.
    """
    _demand_file(path)
    fresh = path.with_name(f".{path.name[:_LONGEST_NAME]}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(fresh, _NEW | os.O_WRONLY, mode), "wb") as file:
            with contextlib.suppress(
                PermissionError
            ):  # file systems without modes refuse those they have not
                os.fchmod(file.fileno(), mode)  # exactly: the umask may have taken something away
            file.writelines(parts)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        if replace:
            fresh.replace(path)
        else:
            _place(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    if durable:
        sync_folder(path.parent)


def create(path: Path) -> None:
    """Make an empty file for its owner alone, where there is none.

    Raises:
        OSError: it cannot be made, or a link that leads nowhere stands there.
    """
    if path.exists():
        return
    os.close(os.open(path, _NEW | os.O_WRONLY, 0o600))
    sync_folder(path.parent)


def open_own(path: Path) -> int:
    """Open a file to read and write, made for its owner alone where there is none; return the descriptor.

    Raises:
        OSError: it cannot be opened, or is a link.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def sync_folder(folder: Path) -> None:
    """Make a folder's list of files durable, where the file system can do that.

    Raises:
        OSError: it fails.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(handle)


def myself() -> str:
    """Return this process's user, for messages."""
    return f"ddnsd's user (uid {os.geteuid()})"


def exposure(path: Path, *, owner: bool = True) -> str:
    """Say why others may change a file or folder; "" where they may not, or where nothing is to be seen.

    Others are all but the owner and the group: Kubernetes gives volumes to a group (fsGroup), which is fine.
    Of a folder with the sticky bit others may remove nothing. With `owner` it also has to belong to this
    process's user or to root.
    """
    try:
        found = path.stat()
    except OSError:  # what cannot be looked at cannot be used either, and its user says so
        return ""
    if found.st_mode & stat.S_IWOTH and not (stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX):
        return f"others may write {path} (mode {stat.S_IMODE(found.st_mode):04o}): chmod o-w {path}"
    if owner and found.st_uid not in (os.geteuid(), 0):
        me = os.geteuid()
        return f"{path} belongs to user {found.st_uid}, ddnsd runs as {me}: chown {me} {path}"
    return ""


def _demand_file(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.stat().st_mode):
            raise NotAFileError(errno.EINVAL, "not a file, but a folder, a device or a pipe", str(path))


def _place(fresh: Path, path: Path) -> None:
    """Give a file its name, unless there is one of this name."""
    try:
        os.link(fresh, path)  # unlike a rename, never over a file that somebody else has just made
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        fresh.rename(path)
