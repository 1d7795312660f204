"""A flow that waits, for tests of how runs come about and get lost."""

import time

from prefect import flow


@flow(name="nap", persist_result=False)
def nap(seconds: float = 1.0) -> None:
    time.sleep(seconds)
