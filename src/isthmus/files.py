"""Files and folders that are written whole or not at all: aside first, then renamed into place."""

import errno
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

NAMES = "name"  # the column of the samples' names in a table of codes


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Refuses to replace what is there, unless that was asked for."""
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} already exists. Choose another name, or pass overwrite=True (--force).")


@contextmanager
def folder_aside(path: Path, replace: bool = False):
    """A folder to fill beside `path`, renamed into its place when the block ends well; else everything is as it was."""
    path = path.resolve()  # a link is kept, and what it points to replaced
    with made_folder(path.parent), full_disk_named(path):
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        old = aside.with_name(f"{aside.name}.old")
        try:
            yield aside
            flush(aside)
            os.chmod(aside, 0o777 & ~current_umask())
            put_in_place(aside, path, old, replace)
            shutil.rmtree(old, ignore_errors=True)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise


def put_in_place(aside: Path, path: Path, old: Path, replace: bool) -> None:
    """Renames `aside` to `path`, and what was there to `old`; where that fails, it is back in its place."""
    try:
        if path.exists() and replace:
            path.rename(old)
        aside.rename(path)
    except BaseException:
        if old.exists() and not path.exists():
            old.rename(path)
        raise


@contextmanager
def file_aside(path: Path):
    """An open binary file beside `path`, renamed into its place when the block ends well; else everything is as it was."""
    with made_folder(path.parent), full_disk_named(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o666 & ~current_umask())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextmanager
def made_folder(folder: Path):
    """The folder is there while the block runs; where the block fails, whatever folders were made for it are gone again."""
    new = [place for place in (folder, *folder.parents) if not place.exists()]  # innermost first
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for place in new:
            with suppress(OSError):  # someone else may have put something into it by now
                place.rmdir()
        raise


@contextmanager
def full_disk_named(path: Path):
    """Says which file there was no room for, and that nothing is lost."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC or " requested and " in str(error):  # the latter is numpy's way of saying so
            text = (
                f"The disk is full: {path} was not written, and what was there is untouched. Make room, or choose another place"
            )
            raise OSError(errno.ENOSPC, text) from error
        raise


def flush(folder: Path) -> None:
    """Makes sure that the files have reached the disk before a rename makes them count."""
    for file in (f for f in folder.rglob("*") if f.is_file()):
        with open(file, "rb") as opened:
            os.fsync(opened.fileno())


def flush_folder(folder: Path) -> None:
    """Makes sure that names given in the folder have reached the disk; nothing where the system cannot say so."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
