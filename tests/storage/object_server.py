"""An S3 server on loopback, one for all tests, and a proxy in front of it that fails on demand."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import uuid4

import boto3
import pytest
from moto.core import serialize
from moto.server import ThreadedMotoServer

from storage.place import retries
from storage.place.bucket import BucketPlace
from tests.storage.fault_proxy import FaultProxy

SECRET = "wJalrXUtnFEMI-secret-of-the-tests"
BUCKET = "stitches"


@dataclass(frozen=True)
class ObjectServer:
    """`endpoint` is the server itself, `proxy` what stands in front of it, `s3` a client of another make."""

    endpoint: str
    proxy: FaultProxy
    s3: Any

    def keys(self, prefix: str) -> list[str]:
        return sorted(
            found["Key"]
            for found in self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        )

    def get(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def put(self, key: str, data: bytes) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=data)


@pytest.fixture(scope="session")
def object_server() -> Iterator[ObjectServer]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # Each listing reads the time of each of its objects out of a text again, which is a third of what the server does.
    serialize.parse_to_aware_datetime = cache(serialize.parse_to_aware_datetime)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    s3 = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key=SECRET,
    )
    s3.create_bucket(Bucket=BUCKET)
    proxy = FaultProxy((host, port))
    yield ObjectServer(endpoint, proxy, s3)
    proxy.close()
    server.stop()


@pytest.fixture
def aws(object_server, monkeypatch) -> ObjectServer:
    """The server, and the environment that leads to it, straight; failures are retried soon."""
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_REGION", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", object_server.endpoint)
    monkeypatch.setattr(retries, "FIRST_WAIT_S", 0.02)
    return object_server


@pytest.fixture
def proxy(aws, monkeypatch) -> FaultProxy:
    """The proxy, with the environment leading to it instead."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.proxy.url)
    aws.proxy.clear()
    return aws.proxy


def new_objects(**options: Any) -> BucketPlace:
    """A place of its own in the bucket."""
    return BucketPlace.at(f"s3://{BUCKET}/{uuid4().hex}/store.zarr", **options)
