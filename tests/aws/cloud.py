"""A cloud of one process: runs state machines in the interpreter of moto, with the real worker as their function.

Reads a line of JSON for each execution, with `definitions` (the first may call the second as `Machine2`), `input`, and optionally `limit` (an invocation's seconds), `book`,
`shared`, `worker`, `new` (each invocation has a worker of its own) and `faults` (by the number of the invocation, `busy`; `hang`
for a worker that stands still; `lose` for objects that are lost; or the seconds after which the worker is killed). Writes a line with `status`, `output`,
`error`, `cause` and `calls`.
"""

import json
import logging
import sys
import threading
import time
import uuid

import boto3
from functions import Functions
from interpreter import patch
from moto import mock_aws

functions = None


def execute(states, order):
    """Runs a state machine to its end."""
    global functions
    env = {"SMLT_BOOK": order["book"], "SMLT_SHARED": order["shared"]}
    limit, faults, new = order.get("limit", 60), order.get("faults", {}), order.get("new", False)
    functions = Functions(order["worker"], env, limit, faults, new)
    role = "arn:aws:iam::123456789012:role/role"
    try:
        machines = {}
        # Each calls only those before it, but for the first, which comes last.
        for number, definition in [*enumerate(order["definitions"], 1)][1:] + [(1, order["definitions"][0])]:
            for called, arn in machines.items():
                definition = definition.replace('"Machine%d"' % called, json.dumps(arn))
            machine = states.create_state_machine(name="m" + uuid.uuid4().hex, definition=definition, roleArn=role)
            machines[number] = machine["stateMachineArn"]
        started = states.start_execution(
            stateMachineArn=machines[1], name=order.get("name", "run"), input=json.dumps(order["input"])
        )
        while True:
            said = states.describe_execution(executionArn=started["executionArn"])
            if said["status"] != "RUNNING":
                break
            time.sleep(0.01)
    finally:
        functions.end()
    answer = {field: said.get(field) for field in ["status", "output", "error", "cause"]}
    return {**answer, "output": quoted(answer["output"]), "calls": functions.calls}


def quoted(output):
    """The interpreter gives a text as it is, not as JSON."""
    try:
        json.loads(output or "null")
        return output
    except ValueError:
        return json.dumps(output)


@mock_aws(config={"stepfunctions": {"execute_state_machine": True}})
def main():
    # It tells of each failure at length, also of those that are caught.
    logging.disable()
    # So does a branch that is stopped because another has failed.
    threading.excepthook = lambda _: None
    states = boto3.client("stepfunctions", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="s")
    patch(lambda _, payload: functions.invoke(payload))
    for line in sys.stdin:
        try:
            answer = execute(states, json.loads(line))
        except Exception as error:
            answer = {"status": "BROKEN", "cause": repr(error)}
        print(json.dumps(answer), flush=True)


main()
