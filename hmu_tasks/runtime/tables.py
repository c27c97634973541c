"""The only reader of Parquet files: what a table takes in memory is estimated from its footer before it is read."""

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hmu_tasks.runtime.foreign import MIB, ForeignFileError, check_file

LARGEST: Final = 1024 * MIB
"""Bytes of a table in memory, at most: HumanML3D's captions take 20 MiB."""
_TEXTS: Final = (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())


def read_parquet(path: Path, schema: pa.Schema | None = None) -> pa.Table:
    """Read a table; raises FileNotFoundError, or ForeignFileError for what is damaged, too large or of another schema.

    Repeated values take next to no space in a file: a column of a billion nulls has some hundred bytes, and a text of
    a megabyte is stored once for all rows that have it. So texts are read by number first and added up.
    """
    check_file(path, limit=LARGEST)
    try:
        with pq.ParquetFile(path) as opened:
            found = opened.schema_arrow
            _check_footer(path, opened.metadata)
        if schema is not None and not found.equals(schema):
            raise ForeignFileError(path, f"has columns {found.names}, expected {schema.names}")
        texts = [field.name for field in found if field.type in _TEXTS]
        with pq.ParquetFile(path, read_dictionary=texts) as opened:
            table = opened.read()
        if sum(map(_text_size, (table[name] for name in texts))) > LARGEST:
            raise ForeignFileError(path, f"has more than {LARGEST // MIB} MiB of text once it is written out")
        return table.cast(found)
    except ForeignFileError:
        raise
    # pa.ArrowException is the root of some of its errors, others come as Python's own.
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        NotImplementedError,
        MemoryError,
        pa.ArrowException,
    ) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ForeignFileError(path, f"is damaged ({reason})") from error


def _check_footer(path: Path, footer: pq.FileMetaData) -> None:
    size, values = 0, footer.num_rows
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        size += group.total_byte_size
        values += sum(group.column(column).num_values for column in range(group.num_columns))
    if size > LARGEST or values > LARGEST // 16:
        raise ForeignFileError(
            path, f"announces {size:,} bytes in {values:,} values, more than any table here"
        )


def _text_size(column: pa.ChunkedArray) -> int:
    total = 0
    for chunk in column.chunks:
        lengths = pc.binary_length(chunk.dictionary)
        counted = pc.value_counts(chunk.indices)
        each, times = lengths.take(counted.field("values")), counted.field("counts")
        total += sum(
            int(n) * int(m) for n, m in zip(each.to_pylist(), times.to_pylist(), strict=True) if n is not None
        )
    return total
