"""Fixtures of the store's tests: an object server, started when the first test asks for it."""

from tests.storage.object_server import aws, object_server, proxy

__all__ = ["aws", "object_server", "proxy"]
