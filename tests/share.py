"""How much of the long tests runs: a small share every day, all of it where FAULT_SHARE=full."""

import os

FULL_SHARE = os.environ.get("FAULT_SHARE") == "full"
