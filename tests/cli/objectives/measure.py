import json
import os
import time

x = int(os.environ["x"])
if x == 4:
    time.sleep(60)
with open("table.csv", "w") as table:
    table.write(f"x\n{x}\n")
result = {"loss": None if x == 3 else (x - 2) ** 2, "table": "table.csv"}
with open(os.environ["SMLT_OUT"], "w") as out:
    json.dump(result, out)
