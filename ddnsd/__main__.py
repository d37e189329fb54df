"""`python -m ddnsd`."""

from ddnsd.cli import main

if __name__ == "__main__":
    main(prog_name="ddnsd")
