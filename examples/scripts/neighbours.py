"""Judges a nearest-neighbour classifier on the tumours: each is told by the k others nearest to it.

The parameters arrive as environment variables, the losses go to $SMLT_OUT. Only the standard library is needed.
"""

import csv
import json
import math
import os

neighbours = int(os.environ["neighbours"])
power = float(os.environ["power"])
weighted = os.environ["weighted"] == "true"
project = os.environ["SMLT_PROJECT"]

with open(os.path.join(project, "data", "breast_cancer.csv"), newline="") as table:
    rows = list(csv.reader(table))[1:]
# Every other row, to be quick.
samples = [([float(value) for value in row[:-1]], int(row[-1])) for row in rows[::2]]
columns = list(zip(*(measures for measures, _ in samples)))
means = [sum(column) / len(column) for column in columns]
spreads = [math.dist(column, [mean] * len(column)) / math.sqrt(len(column)) for column, mean in zip(columns, means)]
points = [
    ([(value - mean) / spread for value, mean, spread in zip(measures, means, spreads)], label)
    for measures, label in samples
]


def distance(a, b):
    return sum(abs(x - y) ** power for x, y in zip(a, b)) ** (1 / power)


loss = 0.0
wrong = 0
for index, (point, label) in enumerate(points):
    others = [(distance(point, other), kind) for at, (other, kind) in enumerate(points) if at != index]
    nearest = sorted(others)[:neighbours]
    weights = [(1 / (far + 1e-9) if weighted else 1.0, kind) for far, kind in nearest]
    share = (sum(w for w, kind in weights if kind == label) + 0.5) / (sum(w for w, _ in weights) + 1.0)
    loss -= math.log(share) / len(points)
    wrong += share < 0.5
    if index % 50 == 0:
        print(json.dumps({"progress": index / len(points)}))

with open(os.environ["SMLT_OUT"], "w") as out:
    json.dump({"loss": loss, "wrong": wrong, "of": len(points)}, out)
