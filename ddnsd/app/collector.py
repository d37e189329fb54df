"""Python's collector of reference cycles, set for a process that is mostly one long-lived state."""

import gc

# Objects made before a young collection, and collections of one generation before one of the next.
# Python's 700, 10 and 10 have it look at young objects every few requests, though hardly any of ours
# lie in a cycle: reference counting alone frees them.
_THRESHOLDS = (20_000, 50, 100)


def settle() -> None:
    """Take what is in memory now, the loaded state above all, out of the collector's sight.

    A full collection over a big state would hold the loop for tens of milliseconds. Reference counting
    still frees what is replaced later.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
