"""Tables as Parquet files, which pandas, polars, R and DuckDB read without guessing what a column holds.

Only what a table of scores needs of the format is written: one row group, one page a column, no nulls (an undefined
number is NaN), PLAIN encoding, no compression; text is UTF-8, numbers are 64 bits wide. The footer is in Thrift's
compact protocol. The format: https://github.com/apache/parquet-format (README.md, Encodings.md, parquet.thrift).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from neuraxis import _version
from neuraxis.files import atomic_path

MAGIC = b"PAR1"
_INT64, _DOUBLE, _BYTE_ARRAY = 2, 5, 6
_I32, _I64, _BINARY, _LIST, _STRUCT = 5, 6, 8, 9, 12
_REQUIRED, _UTF8, _PLAIN, _RLE, _UNCOMPRESSED, _DATA_PAGE = 0, 0, 0, 3, 0, 0
Values = Sequence[str] | Sequence[int] | Sequence[float]


def write_parquet(path: Path, columns: Mapping[str, Values], overwrite: bool = True) -> None:
    """Write columns of one length as one file.

    Args:
        path: of the file, replaced atomically.
        columns: name to values, each column all text, all whole numbers or all floats.
        overwrite: whether an existing file is replaced.

    Raises:
        ValueError: columns differ in length or hold a mixture.
        UsageError: the file exists and `overwrite` is false.
    """
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise ValueError(f"Columns need one length, found {sorted(lengths)}.")
    rows = next(iter(lengths), 0)
    content, chunks = bytearray(MAGIC), []
    for name, values in columns.items():
        kind, data = _packed(name, values)
        header = _page_header(rows, len(data))
        chunks.append(_Chunk(name, kind, rows, len(content), len(header) + len(data)))
        content += header + data
    footer = _footer(chunks, rows)
    content += footer + struct.pack("<I", len(footer)) + MAGIC
    with atomic_path(path, overwrite) as part:
        part.write_bytes(bytes(content))


@dataclass(frozen=True)
class _Chunk:
    """Where a column lies in the file."""

    name: str
    kind: int
    rows: int
    offset: int
    size: int


def _packed(name: str, values: Values) -> tuple[int, bytes]:
    """Return the physical type of a column and its values, PLAIN."""
    if all(isinstance(value, str) for value in values):
        texts = [str(value).encode("utf-8", "replace") for value in values]
        return _BYTE_ARRAY, b"".join(struct.pack("<I", len(text)) + text for text in texts)
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return _INT64, struct.pack(f"<{len(values)}q", *values)
    if all(isinstance(value, float) for value in values):
        return _DOUBLE, struct.pack(f"<{len(values)}d", *values)
    raise ValueError(f"The column '{name}' holds a mixture. Needed is text, whole numbers or floats alone.")


def _page_header(rows: int, size: int) -> bytes:
    page = _struct({1: (_I32, rows), 2: (_I32, _PLAIN), 3: (_I32, _RLE), 4: (_I32, _RLE)})
    return _struct({1: (_I32, _DATA_PAGE), 2: (_I32, size), 3: (_I32, size), 5: (_STRUCT, page)})


def _footer(chunks: Sequence[_Chunk], rows: int) -> bytes:
    schema = [_struct({4: (_BINARY, b"schema"), 5: (_I32, len(chunks))})]
    columns = []
    for one in chunks:
        name = one.name.encode("utf-8", "replace")
        told: dict[int, tuple[int, int | bytes]] = {1: (_I32, one.kind), 3: (_I32, _REQUIRED), 4: (_BINARY, name)}
        schema.append(_struct(told | ({6: (_I32, _UTF8)} if one.kind == _BYTE_ARRAY else {})))
        about = _struct(
            {
                1: (_I32, one.kind),
                2: (_LIST, _list(_I32, [_varint(_zigzag(_PLAIN)), _varint(_zigzag(_RLE))])),
                3: (_LIST, _list(_BINARY, [_varint(len(name)) + name])),
                4: (_I32, _UNCOMPRESSED),
                5: (_I64, one.rows),
                6: (_I64, one.size),
                7: (_I64, one.size),
                9: (_I64, one.offset),
            }
        )
        columns.append(_struct({2: (_I64, one.offset), 3: (_STRUCT, about)}))
    size = sum(one.size for one in chunks)
    group = _struct({1: (_LIST, _list(_STRUCT, columns)), 2: (_I64, size), 3: (_I64, rows)})
    return _struct(
        {
            1: (_I32, 1),
            2: (_LIST, _list(_STRUCT, schema)),
            3: (_I64, rows),
            4: (_LIST, _list(_STRUCT, [group])),
            6: (_BINARY, f"neuraxis {_version.__version__}".encode()),
        }
    )


def _struct(fields: Mapping[int, tuple[int, int | bytes]]) -> bytes:
    """Return a struct of Thrift's compact protocol: field number to type and value; fields are in rising order."""
    packed, last = bytearray(), 0
    for number, (kind, value) in fields.items():
        packed.append((number - last) << 4 | kind)
        last = number
        if isinstance(value, int):
            packed += _varint(_zigzag(value))
        else:
            packed += (_varint(len(value)) + value) if kind == _BINARY else value
    return bytes(packed) + b"\0"


def _list(kind: int, items: Sequence[bytes]) -> bytes:
    head = bytes([len(items) << 4 | kind]) if len(items) < 15 else bytes([0xF0 | kind]) + _varint(len(items))
    return head + b"".join(items)


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _varint(value: int) -> bytes:
    packed = bytearray()
    while value >= 128:
        packed.append(value & 127 | 128)
        value >>= 7
    packed.append(value)
    return bytes(packed)
