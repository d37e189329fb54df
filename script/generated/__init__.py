"""The files of the chart that follow from others."""

from generated.config_schema import config_schema
from generated.crds import crds
from generated.dashboard import dashboard
from generated.descriptions import described
from generated.values_table import values_table

__all__ = ["config_schema", "crds", "dashboard", "described", "values_table"]
