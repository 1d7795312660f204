"""Show that the deployment works, without containers: ``python -m flows.loopback``.

On loopback and in one temporary directory: an S3 server, a Prefect server, a pool for the CPU and one for GPUs with two
workers, a Dask cluster of processes, the deployments of ``prefect.yaml`` and the automations of ``docker/``. A run that
the server's own scheduler created fills a bucket; numbers and page must be there, and nothing of the run on a disk.

With a fault, a process is killed in the middle (`faults.Fault`), and the numbers must be those of an undisturbed run,
bit for bit, with nothing done again that had been done.
"""

from flows.loopback.check import LoopbackCheck, LoopbackReport
from flows.loopback.faults import Fault

__all__ = ["Fault", "LoopbackCheck", "LoopbackReport"]
