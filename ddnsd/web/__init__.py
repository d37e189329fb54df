"""Tornado: the public listener, the admin API, health and metrics."""
