"""The broken builds take minutes, and tell of the runner, not of ddnsd: `make test-faults` has them."""

from tests.share import FULL_SHARE

collect_ignore = [] if FULL_SHARE else ["test_broken_builds.py"]
