"""What only the leader does: publish what is committed, one fenced UPDATE at a time per zone."""
