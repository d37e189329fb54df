"""The scripts for Windows: what can be said of them without a PowerShell that runs them."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.scripts.powershell import Source, read
from tests.scripts.script import FOLDER, SHELL

CLIENT, REGISTER = FOLDER / "ddnsd-update.ps1", FOLDER / "windows" / "register-task.ps1"
scripts = pytest.mark.parametrize("path", [CLIENT, REGISTER], ids=lambda path: path.name)

# Cmdlets of Windows PowerShell 5.1 on Windows 10 that PowerShell 7 has too.
CMDLETS = {
    *("convertfrom-json", "copy-item", "foreach-object", "get-acl", "get-content", "get-date", "get-item"),
    "get-netipinterface",
    *("get-netipaddress", "join-path", "move-item", "new-item", "new-object", "new-scheduledtaskaction"),
    *(
        "new-scheduledtaskprincipal",
        "new-scheduledtasksettingsset",
        "new-scheduledtasktrigger",
        "new-timespan",
    ),
    *("out-null", "read-host", "register-scheduledtask", "set-strictmode", "sort-object", "split-path"),
    *("start-scheduledtask", "start-sleep", "test-path", "unregister-scheduledtask", "where-object"),
    *("write-output", "write-verbose"),
}
PROGRAMS = {"icacls.exe", "ls"}


@scripts
def test_it_parses(path: Path) -> None:
    assert read(path).mistakes() == []


@pytest.mark.parametrize(
    "text",
    ["if ($true) {", "$a = @(1, 2", 'Write-Output "a', "a && b", "$a ?? $b", "$a ? 1 : 2"],
)
def test_a_mistake_is_found(text: str) -> None:
    assert Source(text.encode()).mistakes()


@scripts
def test_it_is_ascii(path: Path) -> None:
    """Windows PowerShell 5.1 reads a file without a BOM in the machine's own code page."""
    assert path.read_text().isascii()


@scripts
def test_it_runs_only_what_is_there(path: Path) -> None:
    source = read(path)
    assert source.commands() - source.functions() <= CMDLETS | PROGRAMS
    assert source.functions() <= source.commands(), "a function that nothing calls"


@scripts
def test_every_variable_is_set(path: Path) -> None:
    assert read(path).unknown_variables() == []
    assert read(path).mistaken_scopes() == []


def test_variables_that_are_not_set_are_found() -> None:
    source = Source(b'$a = 1\nfunction F($b) { $c = $a + $b + $d; "$e: $c ${b}: $a" }\n$c\n$f[0] = 1\n')
    assert source.unknown_variables() == ["line 3: $c", "line 4: $f", "line 2: $d", "line 2: $e"]
    assert source.mistaken_scopes() == ["$e"]


def test_what_is_not_there_is_found() -> None:
    source = Source(b"function Get-It { Invoke-RestMethod x | Out-Null }\nGet-It")
    assert source.commands() - source.functions() == {"invoke-restmethod", "out-null"}


def test_it_has_the_options_of_the_others() -> None:
    text = CLIENT.read_text()
    shell = set(re.findall(r"^        ([a-z0-9-]+)\) \w+=\$2 ;;$", SHELL.read_text(), re.MULTILINE))
    table = set(re.findall(r"^    '([a-z0-9-]+)' = '", text, re.MULTILINE))
    assert table == shell - {"cacert"} | {"log-file"}
    parameters = set(re.findall(r"^    \[\w+\] \$(\w+) = ''", text, re.MULTILINE))
    assert {name.replace("-", "") for name in table} == {name.lower() for name in parameters} - {"config"}
    described = set(re.findall(r"^\.PARAMETER (\w+)$", text, re.MULTILINE))
    assert described == parameters | {"Domain", "Version"}


def test_it_says_what_the_others_say() -> None:
    """The meanings of the statuses, and the version."""
    shell = SHELL.read_text()
    text = CLIENT.read_text()
    meanings = re.findall(r"^    (\d{3}) = '(.+)'$", text, re.MULTILINE)
    assert len(meanings) == 5
    for status, meaning in meanings:
        assert f"        {status}) echo '{meaning}' ;;" in shell
    assert f"$release = '{version('ddnsd')}'" in text
