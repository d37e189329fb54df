"""Runs `ddnsd` with its own arguments, and notes which of its functions are entered while that is asked for.

A program of its own, because a process has to be traced from its start: `python entered.py SOCKET serve …`.
It imports nothing of `tests`, so that it also traces another checkout (PYTHONPATH). Each connection to SOCKET
is one recording: it begins when the connection opens, ends when the other side shuts its half, and is
answered with JSON: `files`, `functions` and `types` that were entered, each a list of names.

A function counts once, however often it is entered; a list, dict or set comprehension is a part of its
function, as it is since Python 3.12. A type is one of ddnsd's own (NamedTuple, frozen dataclass,
msgspec.Struct) of which an entered function takes, returns or makes a value that no earlier recording saw.
"""

import json
import socket
import sys
import threading
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import msgspec

_COMPREHENSIONS = ("<listcomp>", "<dictcomp>", "<setcomp>")
_codes: set[CodeType] = set()
_values: dict[
    int, Any
] = {}  # what was taken, returned or made, by its id: kept alive, so that no id comes twice
_known: dict[int, Any] = {}  # the same of earlier recordings
_on = False


def _profile(frame: FrameType, event: str, result: Any) -> None:
    if not _on:
        return
    code = frame.f_code
    ours = _ROOT in code.co_filename
    if event == "call" and ours and code.co_name not in _COMPREHENSIONS:
        _codes.add(code)
    if not ours and code.co_filename != "<string>":  # where the constructors of NamedTuple and dataclass are
        return
    if event == "return":
        _values[id(result)] = result
        values = frame.f_locals
        for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            if name in values:
                _values[id(values[name])] = values[name]


def _is_value(found: type) -> bool:
    if not found.__module__.startswith("ddnsd."):
        return False
    frozen = getattr(found, "__dataclass_params__", None)
    named = issubclass(found, tuple) and hasattr(found, "_fields")
    return named or issubclass(found, msgspec.Struct) or bool(frozen and frozen.frozen)


def _report() -> dict[str, list[str]]:
    functions = {
        (code.co_filename.rpartition(_ROOT)[2], code.co_qualname, code.co_firstlineno) for code in set(_codes)
    }
    made = {type(value) for key, value in _values.items() if key not in _known}
    _known.update(_values)
    return {
        "files": sorted({file for file, _, _ in functions}),
        "functions": sorted(f"{file}:{name}:{line}" for file, name, line in functions),
        "types": sorted(f"{found.__module__}.{found.__qualname__}" for found in made if _is_value(found)),
    }


def _listen(path: str) -> None:
    global _on
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            with listener.accept()[0] as asked:
                _codes.clear()
                _values.clear()
                _on = True
                asked.sendall(b"\n")  # it is on
                asked.recv(1)
                _on = False
                asked.sendall(json.dumps(_report()).encode())


if __name__ == "__main__":
    import ddnsd

    _ROOT = str(Path(ddnsd.__file__).parent) + "/"
    from ddnsd.cli import main

    threading.Thread(target=_listen, args=(sys.argv.pop(1),), daemon=True).start()
    threading.setprofile(_profile)
    sys.setprofile(_profile)
    main(prog_name="ddnsd")
