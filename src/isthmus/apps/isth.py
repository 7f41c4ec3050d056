"""Files of compressed data, `.isth`: what they are of, which model reads them, and chunks of bytes that are all checked.

    magic        5 bytes, 89 49 53 54 48
    version      1 byte
    fingerprint  8 bytes, of the model
    header       length, then JSON, deflated with `DICTIONARY` where that is shorter
    checksum     CRC32 of all before it
    chunks       length (one or more), then so many bytes, then the CRC32 of header, place, length and bytes
    end          length 0, the number of chunks, and the CRC32 of header and number

A length or number has seven bits a byte, least first, and the top bit set in all but the last. A checksum is 4 bytes, least
first. A chunk's checksum begins with that of the header and counts its place, so a chunk that was lost, moved or taken from
another file is noticed as one whose bytes changed. A file is written and read front to back, a chunk at a time.
"""

import hashlib
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..files import file_aside, refuse_existing

MAGIC = b"\x89ISTH"
VERSION = 1  # raised whenever a file written now could not be read by the versions before
LARGEST = 2**26  # bytes of a chunk; a larger length is damage, and no reason to ask for memory
_LARGEST_HEADER = 2**24
_FINGERPRINT = 8  # bytes
_PLAIN, _DEFLATED = b"j", b"d"

# What headers are likely to say, the likeliest last: raw deflate refers back to it, so that a small file has a small header.
# Part of version 1: another text would make its files unreadable.
DICTIONARY = (
    b'"names":["0001.png","seed":0,"binarised":true,"levels":256,"initial":0,"bits":8,"columns":["float64","uint16","float32",'
    b'"method":"bits_back","samples":10000,"shape":[28,28,1],"kind":"vectors","sizes":[[321,481],[481,321],[512,512],'
    b'"kind":"images","shape":[null,null,3],"method":"codes","dtype":"uint8","samples":1,"sizes":[[256,256]]}'
)


class DamagedFile(ValueError):
    """A file of compressed data is not what was written: bytes changed, or some are missing."""


def write(file: BinaryIO, header: dict[str, Any], chunks: Iterable[bytes]) -> None:
    """Writes a whole file of compressed data, a chunk as soon as it is there.

    Parameters
    ----------
    file : open for writing bytes
    header : JSON values, among them "fingerprint", of the model that reads the file, as `fingerprint` gives it
    chunks : bytes, one or more in each, up to `LARGEST`

    >>> import io
    >>> file = io.BytesIO()
    >>> write(file, {"fingerprint": "0123456789abcdef", "method": "codes"}, [b"first", b"second"])
    >>> len(file.getvalue())
    53
    """
    beginning = _beginning(header)
    checksum = zlib.crc32(beginning)
    file.write(beginning + _checksum(checksum))
    count = 0
    for count, chunk in enumerate(chunks, start=1):
        if not 0 < len(chunk) <= LARGEST:
            raise ValueError(
                f"Chunk {count - 1} has {len(chunk):,} bytes; 1 to {LARGEST:,} are expected. Split the data otherwise."
            )
        told = _number(len(chunk))
        file.write(told + chunk + _checksum(_of_chunk(checksum, count - 1, told, chunk)))
    file.write(_number(0) + _number(count) + _checksum(zlib.crc32(_number(count), checksum)))


def read(file: BinaryIO, fingerprint: str | None = None) -> tuple[dict[str, Any], Iterator[bytes]]:
    """Header and chunks of a file that `write` wrote; whatever is not as it was written is refused with a `DamagedFile`.

    Parameters
    ----------
    file : open for reading bytes, at the beginning; the chunks are read as they are asked for
    fingerprint : of the model that is to read the file, default None: any

    Returns
    -------
    dict : the header, with "fingerprint"
    iterator of bytes : the chunks. It ends in an error where the file does not end as it should, so what was made of chunks
        counts only after the last.

    >>> import io
    >>> file = io.BytesIO()
    >>> write(file, {"fingerprint": "0123456789abcdef", "method": "codes"}, [b"first", b"second"])
    >>> header, chunks = read(io.BytesIO(file.getvalue()), "0123456789abcdef")
    >>> header["method"], list(chunks)
    ('codes', [b'first', b'second'])
    >>> read(io.BytesIO(file.getvalue()), "fedcba9876543210")
    Traceback (most recent call last):
    ValueError: This was compressed by the model 0123456789abcdef, but the model given is fedcba9876543210. Give the one that
    wrote it.
    """
    source = _Source(file)
    found = source.take(len(MAGIC), "its beginning")
    if found != MAGIC:
        raise DamagedFile(
            f"This is no .isth file: it begins with {found!r} instead of {MAGIC!r}. Give a file that compress wrote."
        )
    version = source.take(1, "its version")[0]
    if version > VERSION:
        raise ValueError(
            f"This file has version {version} of the format; this isthmus reads up to {VERSION}. Update: pip install -U isthmus. "
            "If you know that an older one wrote it, the file is damaged."
        )
    own = source.take(_FINGERPRINT, "the model's fingerprint").hex()
    length = source.number("the length of its header")
    if length > _LARGEST_HEADER:
        raise _damaged(f"its header would have {length:,} bytes")
    told = source.take(length, "its header")
    checksum = zlib.crc32(source.taken)
    _compare(source, checksum, "its header")
    if version < 1:
        raise _damaged("it claims version 0 of the format, which never was")
    header = _parsed(told)
    if fingerprint is not None and own != fingerprint:
        raise ValueError(
            f"This was compressed by the model {own}, but the model given is {fingerprint}. Give the one that wrote it."
        )
    return header | {"fingerprint": own}, _chunks(source, checksum)


def fingerprint(tensors: dict[str, np.ndarray], told: dict | None = None) -> str:
    """Sixteen hexadecimal digits that tell models apart: of SHA-256 over every tensor, and over what else decides (JSON values).

    >>> fingerprint({"weight": np.zeros(3, np.float32)}) == fingerprint({"weight": np.ones(3, np.float32)})
    False
    """
    digest = hashlib.sha256(json.dumps(told or {}, sort_keys=True).encode())
    for name in sorted(tensors):
        values = np.ascontiguousarray(tensors[name])
        values = values.astype(values.dtype.newbyteorder("<"), copy=False)  # the same model on any machine
        digest.update(f"{name} {values.dtype.str} {values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()[: 2 * _FINGERPRINT]


# --------------------------------------------------------------------------------------------------- helpers


class _Source:
    """Reads a file front to back, and notes what was read until the header is known to be whole."""

    def __init__(self, file: BinaryIO):
        self.file, self.taken = file, b""

    def take(self, count: int, what: str, note: bool = True) -> bytes:
        pieces, missing = [], count
        while missing and (piece := self.file.read(missing)):  # a pipe may give less than it is asked for
            pieces.append(piece)
            missing -= len(piece)
        if missing:
            raise DamagedFile(f"This file is cut off: it ends {missing:,} bytes before the end of {what}. Get it whole.")
        whole = b"".join(pieces)
        self.taken += whole if note else b""
        return whole

    def number(self, what: str, note: bool = True) -> int:
        value = 0
        for place in range(6):
            byte = self.take(1, what, note)[0]
            value |= (byte & 127) << 7 * place
            if byte < 128:
                if place and not byte:
                    break  # written with more bytes than it takes: nothing here writes so
                return value
        raise _damaged(f"{what} is no number")


def _beginning(header: dict) -> bytes:
    told = {name: value for name, value in header.items() if name != "fingerprint"}
    mark = bytes.fromhex(header["fingerprint"])
    if len(mark) != _FINGERPRINT:
        raise ValueError(f"fingerprint={header['fingerprint']!r}: {2 * _FINGERPRINT} hexadecimal digits are expected.")
    plain = json.dumps(told, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, DICTIONARY)
    packed = min(_PLAIN + plain, _DEFLATED + deflate.compress(plain) + deflate.flush(), key=len)
    if max(len(plain), len(packed)) > _LARGEST_HEADER:
        raise ValueError(
            f"The header has {len(plain):,} bytes; up to {_LARGEST_HEADER:,} are expected. Compress fewer samples at once."
        )
    return MAGIC + bytes([VERSION]) + mark + _number(len(packed)) + packed


def _parsed(told: bytes) -> dict:
    """A header's JSON. Its checksum was right, so what cannot be read was written so by something else."""
    try:
        if told[:1] == _DEFLATED:
            inflate = zlib.decompressobj(-15, zdict=DICTIONARY)
            text = inflate.decompress(told[1:], _LARGEST_HEADER)
            if not inflate.eof or inflate.unused_data:
                raise ValueError("it does not end")
        elif told[:1] == _PLAIN:
            text = told[1:]
        else:
            raise ValueError(f"its mark is {told[:1]!r}")
        header = json.loads(text)
        if not isinstance(header, dict):
            raise ValueError("it holds no names")
    except (ValueError, zlib.error) as error:
        raise _damaged(f"its header cannot be read ({error})") from error
    return header


def _chunks(source: _Source, checksum: int) -> Iterator[bytes]:
    place = 0
    while length := source.number(f"the length of chunk {place}", note=False):
        if length > LARGEST:
            raise _damaged(f"chunk {place} would have {length:,} bytes")
        chunk = source.take(length, f"chunk {place}", note=False)
        _compare(source, _of_chunk(checksum, place, _number(length), chunk), f"chunk {place}")
        yield chunk
        place += 1
    count = source.number("its number of chunks", note=False)
    _compare(source, zlib.crc32(_number(count), checksum), "its end")
    if count != place:
        raise _damaged(f"it holds {place} chunks, but {count} were written")
    if source.file.read(1):
        raise _damaged("something follows its end")


def _of_chunk(checksum: int, place: int, told: bytes, chunk: bytes) -> int:
    return zlib.crc32(chunk, zlib.crc32(_number(place) + told, checksum))


def _compare(source: _Source, expected: int, what: str) -> None:
    found = source.take(4, f"the checksum of {what}", note=False)
    if found != _checksum(expected):
        raise _damaged(f"{what} has the checksum {_checksum(expected).hex()}, but {found.hex()} was written")


def _checksum(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _number(value: int) -> bytes:
    """Seven bits a byte, least first."""
    digits = bytearray()
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])


def _damaged(what: str) -> DamagedFile:
    return DamagedFile(f"This file is damaged: {what}. Get it again from where it was written.")


# ---------------------------------------------------------------------------------------------------- verbs


class Writer:
    """What writes .isth files: an estimator whose `_write(file, X, names)` puts samples into an open one."""

    def _write(self, file: BinaryIO, X, names) -> None:
        raise NotImplementedError

    def compress(self, X, names: list[str] | None = None) -> bytes:
        """`X` as the bytes of a .isth file.

        Parameters
        ----------
        X : like the data of fit
        names : list of str, default None; of the samples, kept in the header

        Returns
        -------
        bytes
        """
        file = io.BytesIO()
        self._write(file, X, names)
        return file.getvalue()

    def compress_to(self, path, X, names: list[str] | None = None, overwrite: bool = False) -> None:
        """Writes the file `path`, chunk by chunk; it is there as a whole or not at all. Otherwise as `compress`.

        >>> from isthmus.apps import Compressor
        >>> compressor = Compressor({"max_epochs": 1}, random_state=0).fit(X)
        >>> compressor.compress_to(folder / "x.isth", X)
        >>> bool((compressor.decompress(folder / "x.isth") == compressor.decompress(compressor.compress(X))).all())
        True
        """
        path = Path(path).expanduser()
        refuse_existing(path, overwrite)
        with file_aside(path) as file:
            self._write(file, X, names)


def named(names: list[str] | None, samples: int) -> dict[str, list[str]]:
    """The header's part on names of samples; nothing where there are none."""
    if names is None:
        return {}
    if len(names) != samples:
        raise ValueError(f"There are {len(names)} names for {samples} samples: one for each is expected.")
    return {"names": list(map(str, names))}


@contextmanager
def opened_file(source) -> Iterator[BinaryIO]:
    """A path, bytes or an open file, open for reading bytes."""
    if isinstance(source, bytes | bytearray | memoryview):
        yield io.BytesIO(source)
    elif isinstance(source, str | Path):
        with open(Path(source).expanduser(), "rb") as file:
            yield file
    else:
        yield source
