"""Real clients of dynamic DNS, unmodified, against the real program and a real nameserver."""
