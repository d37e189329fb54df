"""The recipes of docs/clients: the blocks of each section, with the paths that the lines before them name."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.rigs.home import Home

FOLDER = Path(__file__).parents[2] / "docs" / "clients"
TOKEN = "YOUR-TOKEN"
"""Stands in the recipes for the secret."""

_SECTION = re.compile(r"(?ms)^## (.+?)\n(.*?)(?=^## |\Z)")
_BLOCK = re.compile(r"(?ms)^```(\w+)\n(.*?)^```$")
_PATH = re.compile(r"`(/[^`]+)`")


class Block(NamedTuple):
    """A fenced block. `path` is the last file that the paragraph before it names, if that ends with ":"."""

    language: str
    path: str
    text: str


class Recipe(NamedTuple):
    """A section, under its heading."""

    title: str
    blocks: Sequence[Block]

    def files(self, secret: str) -> dict[str, str]:
        """Return the files that it has people write, by their paths, with the secret in them."""
        return {block.path: block.text.replace(TOKEN, secret) for block in self.blocks if block.path}

    def write(self, home: Home, secret: str) -> None:
        """Write its files as it says: with mode 0600, scripts with 0700."""
        for path, text in self.files(secret).items():
            home.write(path, text, 0o700 if text.startswith("#!") else 0o600)

    def commands(self, word: str) -> str:
        """Return its one block of commands that contains a word."""
        commands = (block.text.strip() for block in self.blocks if block.language == "sh" and not block.path)
        (found,) = (text for text in commands if word in text)
        return found

    def block(self, language: str) -> Block:
        """Return its one block of a language."""
        (found,) = (block for block in self.blocks if block.language == language)
        return found


def read(page: str) -> dict[str, Recipe]:
    """Return the recipes of a page, such as `routers` or `routers.zh`, by their titles.

    What stands before the first of them is there as "".
    """
    text = (FOLDER / f"{page}.md").read_text()
    sections = [("", text.partition("\n## ")[0]), *_SECTION.findall(text)]
    return {title: Recipe(title, _blocks(section)) for title, section in sections}


def _blocks(section: str) -> Sequence[Block]:
    return tuple(
        Block(found[1], _path(section[: found.start()]), found[2]) for found in _BLOCK.finditer(section)
    )


def _path(before: str) -> str:
    """Return the file that a block is to be written to, "" if it is none."""
    paragraph = before.rstrip().rpartition("\n\n")[2]
    paths = _PATH.findall(paragraph) if paragraph.endswith((":", "：")) else []
    return paths[-1] if paths else ""
