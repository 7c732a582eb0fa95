"""Cuts a text into windows of characters, each with the one that follows, as rows of numbers: `windows.py TEXT LENGTH`.

White space counts as one blank, and letters are small. Only the standard library is needed.
"""

import csv
import json
import os
import sys
from pathlib import Path

path, length = sys.argv[1], int(sys.argv[2])
text = " ".join(Path(path).read_text(encoding="utf-8").lower().split())
characters = sorted(set(text))
numbers = [characters.index(character) for character in text]

# Every second window: those between tell little more.
starts = range(0, len(numbers) - length, 2)
with open("samples.csv", "w", newline="") as table:
    writer = csv.writer(table)
    writer.writerow([*(f"c{place}" for place in range(length)), "next"])
    writer.writerows(numbers[start : start + length + 1] for start in starts)
print(f"{len(starts)} windows of {len(characters)} different characters")

with open(os.environ["SMLT_OUT"], "w") as out:
    json.dump({"samples": "samples.csv", "characters": len(characters)}, out)
