"""The scripts of clients/, as people run them: as programs of their own, against the real ddnsd."""
