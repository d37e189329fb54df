"""Documents of the API, as plain JSON values."""

from typing import Any


def document(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "ddnsd.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
