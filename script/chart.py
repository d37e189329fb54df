"""Make the files of the chart that follow from others: its README's table, its schema, files/."""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from generated import config_schema, crds, dashboard, described, values_table

from ddnsd.config import needing_restart

CHART = Path(__file__).parents[1] / "charts" / "ddnsd"
_TABLE = re.compile(r"(?s)(<!-- values: made by script/chart -->\n).*?(<!-- end of values -->)")


def contents() -> Mapping[Path, str]:
    """Return what each of these files has to hold."""
    readme, schema = CHART / "README.md", CHART / "values.schema.json"
    rows = values_table((CHART / "values.yaml").read_text())
    return {
        readme: _TABLE.sub(lambda marks: f"{marks[1]}{rows}{marks[2]}", readme.read_text()),
        schema: _made_schema(schema.read_text(), (CHART / "values.yaml").read_text()),
        CHART / "files" / "dashboard.json": dashboard(),
        CHART / "files" / "restarting-keys.json": json.dumps([*needing_restart()], indent=2) + "\n",
        **{CHART / "files" / "crds" / name: content for name, content in crds().items()},
    }


def _made_schema(text: str, values: str) -> str:
    """Return the schema, which is written by hand, with its descriptions, and the schema of `config`."""
    schema = described(json.loads(text), values)
    schema["definitions"]["config"] = config_schema()
    return json.dumps(schema, indent=2) + "\n"


def _is_stale(path: Path, content: str) -> bool:
    return not path.exists() or path.read_text() != content


def main() -> None:
    """Write them; with --check, say which are stale instead."""
    stale = {path: content for path, content in contents().items() if _is_stale(path, content)}
    if "--check" not in sys.argv:
        for path, content in stale.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
    elif stale:
        sys.exit(f"stale, run script/chart: {', '.join(path.name for path in stale)}")


if __name__ == "__main__":
    main()
