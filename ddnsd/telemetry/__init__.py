"""Logs and metrics: what a person sees of the running program. No secret reaches either."""
