"""`make bench`: how fast ddnsd is, beside what it is built on, in one run on one machine."""
