"""Files beside a store that are as safe as the store: written whole, named by their digest, checked at every read."""

from storage.checked_files.files import CheckedFiles
from storage.checked_files.garbage import FileGarbage
from storage.checked_files.inventory import Inventory
from storage.checked_files.kept import CheckedFile
from storage.checked_files.repair import FileRepair

__all__ = ["CheckedFile", "CheckedFiles", "FileGarbage", "FileRepair", "Inventory"]
