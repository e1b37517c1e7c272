"""Dagster definitions only: what they do lies in `pianogen`, in SQL in `warehouse`."""
