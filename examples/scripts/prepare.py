"""Turns the raw table into one that a data set can read: named columns, a label in words, one row a tumour.

The raw file starts with a line of counts and class names, has no column names, and writes the label as a number.
Only the standard library is needed.
"""

import csv
import json
import os
import sys

MEASURES = [
    "radius", "texture", "perimeter", "area", "smoothness",
    "compactness", "concavity", "concave_points", "symmetry", "fractal_dimension",
]
COLUMNS = [f"{kind}_{measure}" for kind in ("mean", "error", "worst") for measure in MEASURES]

with open(sys.argv[1], newline="") as raw:
    rows = list(csv.reader(raw))
rows_declared, columns_declared, *classes = rows[0]
samples = rows[1:]
if int(columns_declared) != len(COLUMNS):
    sys.exit(f"expected {len(COLUMNS)} columns, but the file declares {columns_declared}")
if int(rows_declared) != len(samples):
    sys.exit(f"the file declares {rows_declared} rows, but holds {len(samples)}")

unique = sorted({tuple(sample) for sample in samples})
with open("tumours.csv", "w", newline="") as table:
    writer = csv.writer(table)
    writer.writerow([*COLUMNS, "diagnosis"])
    for index, (*measures, label) in enumerate(unique):
        writer.writerow([*measures, classes[int(label)]])
        if index % 100 == 0:
            print(json.dumps({"progress": index / len(unique)}))
print(f"kept {len(unique)} of {len(samples)} rows")

with open(os.environ["SMLT_OUT"], "w") as out:
    json.dump({"table": "tumours.csv", "rows": len(unique)}, out)
