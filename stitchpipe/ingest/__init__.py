"""Activations that somebody already has, put into sealed representations: files, or batches from Python."""

from stitchpipe.ingest.errors import IngestError
from stitchpipe.ingest.ingestion import Ingested, ingest_batches, ingest_files

__all__ = ["IngestError", "Ingested", "ingest_batches", "ingest_files"]
