"""Several processes' metrics in one text, each series with the label of its process."""

from collections.abc import Iterable, Mapping

_HELP = "# HELP "


def merged(texts: Mapping[int, bytes]) -> bytes:
    """Return the expositions of workers, by number, as one: each family once, labelled `worker`.

    They are what `Metrics.text` makes: a family is its HELP, its TYPE and its samples, in this order.
    """
    families: dict[str, list[str]] = {}  # the samples by the family's first lines
    for worker, text in texts.items():
        for family in text.decode().split(_HELP)[1:]:
            name, about, *samples = family.splitlines()
            families.setdefault(f"{_HELP}{name}\n{about}", []).extend(_labelled(samples, worker))
    lines = (line for head, samples in families.items() for line in (head, *samples))
    return "".join(f"{line}\n" for line in lines).encode()


def _labelled(samples: Iterable[str], worker: int) -> Iterable[str]:
    """Add the label; a sample is `name value` or `name{labels} value`."""
    label = f'worker="{worker}"'
    for sample in samples:
        if "{" in sample:
            yield sample.replace("{", f"{{{label},", 1)
        else:
            yield sample.replace(" ", f"{{{label}}} ", 1)
