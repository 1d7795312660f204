"""The Prefect server that the user names in ``PREFECT_API_URL``."""

from __future__ import annotations

from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectHTTPStatusError

from stitchpipe.errors import ExplainedError


class GivenServerError(ExplainedError, RuntimeError):
    """The server that ``PREFECT_API_URL`` names does not answer, or not this version of Prefect."""


def demand_answer() -> None:
    """Ask the given server for its version, once in a process.

    Raises
    ------
    GivenServerError
        It is away, wants a password, or is of another major version.
    """
    with get_client(sync_client=True) as client:
        try:
            client.raise_for_api_version_mismatch_once()
        except (RuntimeError, PrefectHTTPStatusError) as error:
            raise GivenServerError(
                where="PREFECT_API_URL",
                expected="a Prefect server that answers",
                found=str(error).splitlines()[0],
                remedy="Start it; or unset PREFECT_API_URL: a run then has a private server of its own.",
            ) from None
