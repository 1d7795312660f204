"""Keeping a store well."""
