"""Activations that somebody already has, put into sealed representations: files, or batches from Python."""

from stitchpipe.ingest.act import Ingested, ingest_batches, ingest_files
from stitchpipe.ingest.errors import IngestError

__all__ = ["IngestError", "Ingested", "ingest_batches", "ingest_files"]
