"""The table of docs/clients/README.md and README.zh.md, made of what the tests have told."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.clients.outcomes import Client, Fact, Scenario, Shown
from tests.clients.recipes import FOLDER

PAGES = ("README.md", "README.zh.md")  # in the order of the enumerations' titles
_HEADS = (
    ("client", "version", "what was run", "exit code", "what it said, and what was seen"),
    ("客户端", "版本", "场景", "退出码", "客户端输出与观察结果"),
)
_COMMAS = (", ", "、")
_SEMICOLONS = ("; ", "；")
_TABLE = re.compile(r"(?s)(?<=<!-- made by script/clients-table -->\n).*?(?=<!-- end -->)")


def render(lines: Sequence[Mapping[str, Any]], language: int) -> str:
    """Return the table; of a test that was run again the last line counts."""
    told = {(line["client"], line["scenario"]): line for line in lines}
    rows = [
        _row(told[client.name, scenario.name], client, scenario, language)
        for client in Client
        for scenario in Scenario
        if (client.name, scenario.name) in told
    ]
    heads = _HEADS[language]
    return "\n".join((_cells(heads), _cells("---" for _ in heads), *rows, ""))


def rows(page: str) -> list[tuple[str, str]]:
    """Return the first and third cell, client and scenario, of each row of a page's table."""
    (table,) = _TABLE.findall((FOLDER / page).read_text())
    cells = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return [(row[0], row[2]) for row in cells]


def titles(shown: Shown, language: int) -> tuple[str, str]:
    """Return what a row says of client and scenario."""
    return f"`{shown.client.title}`", shown.scenario.value[language]


def _row(line: Mapping[str, Any], client: Client, scenario: Scenario, language: int) -> str:
    code = "" if line["code"] is None else str(line["code"])
    seen = _SEMICOLONS[language].join(_seen(each, language) for each in line["seen"])
    name, title = titles(Shown(client, scenario), language)
    version = _COMMAS[language].join(line["version"].split(", "))
    return _cells((name, version, title, code, seen))


def _seen(each: Mapping[str, str], language: int) -> str:
    if "fact" in each:
        return str(Fact[each["fact"]].value[language])
    return f"`{each['said'].replace('|', '¦')}`"


def _cells(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _kept(table: str, _: re.Match[str]) -> str:
    return table  # as it is: a template would read its backslashes


def main(report: str) -> None:
    """Write the tables anew, of a report."""
    lines = [json.loads(line) for line in Path(report).read_text().splitlines()]
    for language, page in enumerate(PAGES):
        path = FOLDER / page
        path.write_text(_TABLE.sub(partial(_kept, render(lines, language)), path.read_text()))


if __name__ == "__main__":
    main(sys.argv[1])
