import json
import os

loss = (float(os.environ["x"]) - 0.3) ** 2 + (float(os.environ["y"]) + 0.1) ** 2
with open(os.environ["SMLT_OUT"], "w") as result:
    json.dump({"loss": loss}, result)
