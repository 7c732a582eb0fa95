"""Writes the files beside it, each with the same twelve rows, as their usual programs do.

    pip install numpy==2.* pyarrow safetensors
    python3 tests/data/write.py
"""

import pathlib

import numpy
import pyarrow
import pyarrow.csv
import pyarrow.parquet
import safetensors.numpy

folder = pathlib.Path(__file__).parent
rows = numpy.arange(12)

table = pyarrow.table(
    {
        "small": pyarrow.array(rows * 20, pyarrow.uint8()),
        "large": pyarrow.array(rows * 300_000_000, pyarrow.uint32()),
        "signed": pyarrow.array(rows - 6, pyarrow.int64()),
        "half": pyarrow.array((rows / 4).astype(numpy.float16)),
        "single": pyarrow.array((rows / 8).astype(numpy.float32)),
        "double": pyarrow.array(rows / 16),
        "even": pyarrow.array(rows % 2 == 0),
        "kind": pyarrow.array([["ant", "bee", "cow"][row % 3] for row in rows]).dictionary_encode(),
    }
)


def parquet(name, table=table, **options):
    pyarrow.parquet.write_table(table, folder / f"{name}.parquet", **options)


# What is true is 1 in the others.
plain = table.set_column(6, "even", table["even"].cast(pyarrow.uint8()))
pyarrow.csv.write_csv(plain.set_column(7, "kind", plain["kind"].cast(pyarrow.string())), folder / "rows.csv")

parquet("snappy")
parquet("gzip", compression="gzip", data_page_version="2.0", row_group_size=5)
parquet("zstd", compression="zstd", version="1.0", use_dictionary=False)
parquet(
    "plain",
    table.set_column(7, "kind", table["kind"].cast(pyarrow.string())),
    compression="none",
    use_dictionary=False,
    column_encoding={
        "signed": "DELTA_BINARY_PACKED",
        "single": "BYTE_STREAM_SPLIT",
        "double": "BYTE_STREAM_SPLIT",
        "kind": "DELTA_BYTE_ARRAY",
    },
)
parquet(
    "other-types",
    pyarrow.table(
        {
            "x": pyarrow.array([1.5, None, 3.5]),
            "label": pyarrow.array(["a", "b", "a"]),
            "day": pyarrow.array([1, 2, 3], pyarrow.date32()),
            "when": pyarrow.array([1, 2, 3], pyarrow.timestamp("us")),
            "price": pyarrow.array([1, 2, 3]).cast(pyarrow.decimal128(22, 2)),
            "list": pyarrow.array([[1], [2], [3]]),
            "record": pyarrow.array([{"a": 1}, {"a": 2}, {"a": 3}]),
            "bytes": pyarrow.array([b"1", b"2", b"3"]),
        }
    ),
)

# Samples of 2×3 numbers, and their kinds.
x = (rows[:, None, None] * 6 + numpy.arange(6).reshape(2, 3)).astype(numpy.float32)
y = rows % 3
numpy.savez(folder / "arrays.npz", x=x, y=y)
numpy.savez_compressed(
    folder / "packed.npz",
    x=numpy.asfortranarray(x.astype(">f8")),
    y=y.astype(numpy.uint8).reshape(12, 1),
    numbers=rows / 3,
    names=numpy.array(["ant"] * 12),
)
safetensors.numpy.save_file({"x": x.astype(numpy.float16), "y": y.astype(numpy.int32)}, folder / "tensors.safetensors")
