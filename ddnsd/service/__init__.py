"""What ddnsd does for its callers, whatever protocol they speak."""
