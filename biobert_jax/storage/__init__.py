"""Objects in buckets (`gs://BUCKET/NAME`), through gcsfs: nothing else in the package opens one.

An object is written whole or not at all, replaced and never appended to; a folder is no more than
what names have in common. Requests that fail for the moment are made again with growing waits,
what was sent and received is compared by its CRC32C, and nothing is remembered that another
process may have changed. What a user can mend is a UserError of one line.

`STORAGE_EMULATOR_HOST=http://HOST:PORT` alone points everything at an emulator. gcsfs is imported
when the first object is asked for; JAX and TensorFlow never.
"""

from biobert_jax.storage.connection import SCHEME, check_scheme, etils_path, is_remote, path
from biobert_jax.storage.faults import ConflictError, DamagedError, MissingError, StorageError
from biobert_jax.storage.folders import delete_folder, download_folder, upload_folder
from biobert_jax.storage.objects import (
    StoredObject,
    exists,
    glob,
    list_folder,
    read_bytes,
    read_object,
    stat,
    stat_all,
)
from biobert_jax.storage.reading import open_read
from biobert_jax.storage.transfers import download, start_download, upload
from biobert_jax.storage.writing import delete, try_to_write, write_bytes

__all__ = [
    "SCHEME",
    "ConflictError",
    "DamagedError",
    "MissingError",
    "StorageError",
    "StoredObject",
    "check_scheme",
    "delete",
    "delete_folder",
    "download",
    "download_folder",
    "etils_path",
    "exists",
    "glob",
    "is_remote",
    "list_folder",
    "open_read",
    "path",
    "read_bytes",
    "read_object",
    "start_download",
    "stat",
    "stat_all",
    "try_to_write",
    "upload",
    "upload_folder",
    "write_bytes",
]
