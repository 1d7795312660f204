"""An S3 server of our own on loopback: SeaweedFS where it is installed, or else moto, which forgets when it ends."""

from __future__ import annotations

import secrets
import shutil
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import obstore.exceptions
from obstore.store import S3Store

from flows.server import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Name of the bucket, which exists when the server is ready.
BUCKET = "stitchpipe"


@dataclass(frozen=True)
class BucketServer:
    """Where the server listens, with which secrets, and how it is started.

    Attributes
    ----------
    directory
        Where it keeps its data; whatever it keeps there survives a kill.
    port
        Of the S3 interface.
    access_key, secret_key
        Made up for this server. SeaweedFS checks them, moto does not.
    """

    directory: Path
    port: int = field(default_factory=free_port)
    access_key: str = field(default_factory=lambda: f"AKLOOP{secrets.token_hex(8)}")
    secret_key: str = field(default_factory=lambda: secrets.token_hex(20), repr=False)

    @property
    def endpoint(self) -> str:
        """The address of the server."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process needs to reach the bucket."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }

    @cached_property
    def weed(self) -> str | None:
        """The program of SeaweedFS, or None where it is not installed."""
        beside = Path(sys.executable).with_name("weed")
        return str(beside) if beside.exists() else shutil.which("weed")

    @property
    def survives_kills(self) -> bool:
        """Whether what was written is still there when the server was killed and started again."""
        return self.weed is not None

    @cached_property
    def command(self) -> Sequence[str]:
        """Program and arguments of the server."""
        if self.weed is None:
            return [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(self.port)]
        self.directory.mkdir(parents=True, exist_ok=True)
        listeners = ("master.port", "volume.port", "filer.port", "s3.port.iceberg", "s3.port.lance")
        calls = ("master.port.grpc", "volume.port.grpc", "filer.port.grpc", "s3.port.grpc")
        ports = [f"-{name}={free_port()}" for name in (*listeners, *calls)]
        quiet = ["-master.telemetry=false", "-master.volumeSizeLimitMB=256", "-volume.max=0", "-s3.iam=false"]
        sockets = [f"-{part}.localSocket={self.directory / part}.sock" for part in ("filer", "s3")]
        where = [f"-dir={self.directory}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.port={self.port}"]
        return [self.weed, "server", "-filer", "-s3", *where, *ports, *sockets, *quiet]

    def is_ready(self) -> bool:
        """Return whether objects can be written. SeaweedFS makes the bucket with the first one."""
        if self.weed is None and not _made(f"{self.endpoint}/{BUCKET}"):
            return False
        store = S3Store(
            BUCKET,
            endpoint=self.endpoint,
            region="us-east-1",
            access_key_id=self.access_key,
            secret_access_key=self.secret_key,
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )
        try:
            obstore.put(store, "ready", b"ready")
            obstore.delete(store, "ready")
        except (obstore.exceptions.BaseError, OSError):
            return False
        return True


def _made(url: str) -> bool:
    """Make a bucket of moto's, which asks for no credentials; return whether it is there."""
    request = urllib.request.Request(url, method="PUT")  # noqa: S310 - our own http address
    try:
        with urllib.request.urlopen(request, timeout=5.0) as response:  # noqa: S310
            return bool(response.status == 200)
    except urllib.error.HTTPError as error:
        return error.code == 409  # it was there
    except OSError:
        return False
