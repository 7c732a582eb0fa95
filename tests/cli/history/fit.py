"""Pretends to learn: its loss falls, and is the rate in the end."""

import json
import os

rate = float(os.environ["lr"])
print("fitting with", rate)
for step, loss in [(0, 1.0), (50, 0.6), (100, rate)]:
    print(json.dumps({"metric": "loss", "step": step, "value": loss}))
with open("table.csv", "w") as table:
    table.write(f"loss\n{rate}\n")
with open(os.environ["SMLT_OUT"], "w") as out:
    json.dump({"loss": rate, "table": "table.csv"}, out)
