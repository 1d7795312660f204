"""Prefect flows: thin tasks around one function each. No science here."""
