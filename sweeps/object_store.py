"""Addresses of object stores, and the few things that are done to the objects there.

Through pyarrow, which Ray brings along; it takes credentials from the environment, the machine's
role, or the files of the store's own tools, never from a sweep file.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

SCHEMES = ("s3", "gs")


class BadAddress(ValueError):
    """An address that names no place in an object store."""


class StoreFailed(OSError):
    """A store that is out of reach, or refuses; says which and why."""


def is_address(text: str) -> bool:
    """Whether it is the address of something, not a path."""
    return "://" in text


def check_address(text: str) -> str:
    """The address, if it may be of a bucket and a folder in it.

    Args:
        text: As ``s3://bucket/sweeps``; options of pyarrow may follow, as
            ``?endpoint_override=...&scheme=http&region=...``.

    Raises:
        BadAddress: If it is not, or holds credentials.
    """
    parts = urlsplit(text)
    if parts.scheme not in SCHEMES:
        allowed = " or ".join(f"{scheme}://" for scheme in SCHEMES)
        raise BadAddress(f"{parts.scheme}:// is no object store that is known; write {allowed}")
    if "@" in parts.netloc:
        raise BadAddress(
            "an address must hold no credentials; they come from the environment "
            "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS)"
        )
    if not parts.netloc or not parts.path.strip("/"):
        raise BadAddress(f"name a bucket and a folder in it, as {parts.scheme}://bucket/sweeps")
    return text


def join(address: str, relative: str) -> str:
    """The address of something below another."""
    parts = urlsplit(address)
    path = "/".join(piece for piece in (parts.path.rstrip("/"), relative) if piece)
    return urlunsplit(parts._replace(path=path))


@dataclass(frozen=True)
class Object:
    """An object as the store lists it.

    Attributes:
        name: Below the folder that was asked for, as ``trials/t0001-9f/trial.json``.
        size: In bytes.
        changed_ns: When it was written, by the store's clock, since 1970.
    """

    name: str
    size: int
    changed_ns: int


class ObjectStore:
    """A folder of an object store.

    Every method raises `StoreFailed` if the store is out of reach or refuses.

    Args:
        address: Of the folder.

    Raises:
        BadAddress: If pyarrow cannot make anything of it.
        StoreFailed: If it has to ask where the bucket lies, and gets no answer.
    """

    def __init__(self, address: str) -> None:
        import pyarrow as pa
        from pyarrow import fs

        self.address = check_address(address)
        self._local = fs.LocalFileSystem()
        try:
            with self._told():
                self._store, self._root = fs.FileSystem.from_uri(address)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise BadAddress(f"{address}: {error}") from error

    def listed(self, below: str = "") -> list[Object]:
        """Every object in the folder or one below it, by name; none if there is no such folder."""
        from pyarrow import fs

        folder = self._path(below)
        with self._told():
            found = self._store.get_file_info(
                fs.FileSelector(folder, recursive=True, allow_not_found=True)
            )
        objects = [self._object(info) for info in found if info.is_file]
        return sorted(objects, key=lambda one: one.name)

    def look(self, name: str) -> Object | None:
        """One object; None if there is none."""
        with self._told():
            (info,) = self._store.get_file_info([self._path(name)])
        return self._object(info) if info.is_file else None

    def download(self, name: str, target: Path) -> None:
        """Write an object to a file."""
        self._copy(self._path(name), target, self._store, self._local)

    def upload(self, source: Path, name: str) -> None:
        """Make an object of a file; it is seen whole, or as it was before."""
        self._copy(source, self._path(name), self._local, self._store)

    def read(self, name: str) -> bytes | None:
        """What is in an object; None if there is none."""
        try:
            with self._told(), self._store.open_input_stream(self._path(name)) as stream:
                return stream.read()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Replace an object."""
        with self._told(), self._store.open_output_stream(self._path(name)) as stream:
            stream.write(content)

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        with suppress(FileNotFoundError), self._told():
            self._store.delete_file(self._path(name))

    def _copy(self, source: Any, target: Any, at: Any, to: Any) -> None:
        from pyarrow import fs

        with self._told():
            fs.copy_files(
                str(source), str(target), source_filesystem=at, destination_filesystem=to,
                use_threads=False,
            )  # fmt: skip

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            why = next(iter(str(error).splitlines()), type(error).__name__)
            raise StoreFailed(f"{self.address}: {why}") from error

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}".rstrip("/")

    def _object(self, info: Any) -> Object:
        name = info.path[len(self._root.rstrip("/")) + 1 :]
        return Object(name, info.size, info.mtime_ns)
