"""A cloud of one process: runs state machines in the interpreter of moto, with the real worker as their function.

Reads a line of JSON for each execution, with `definition`, `input`, and optionally `limit` (an invocation's seconds), `book`,
`shared`, `worker`, `new` (each invocation has a worker of its own) and `faults` (by the number of the invocation, `busy`, or
the seconds after which the worker is killed). Writes a line with `status`, `output`,
`error`, `cause` and `calls`.
"""

import importlib
import io
import json
import logging
import sys
import threading
import time
import uuid

import boto3
import jsonata
from botocore.exceptions import ClientError
from functions import Busy, FunctionError, Functions
from moto import mock_aws

# The bytes that a state may take in, hand on, or keep in a variable.
MOST = 256 * 1024

ASL = "moto.stepfunctions.parser.asl."

functions = None


def evaluate(expression):
    """JSONata, which moto leaves out."""
    try:
        return jsonata.Jsonata(expression).evaluate(None)
    except Exception as error:
        from moto.stepfunctions.parser.asl.jsonata.jsonata import JSONataException
        raise JSONataException("UNKNOWN", str(error))


def check(text):
    """What moto checks of a state's output alone."""
    if len(text) > MOST:
        raise ValueError("States.DataLimitExceeded: %d bytes" % len(text))


class Lambda:
    """The client that the interpreter calls functions with."""

    def invoke(self, FunctionName, Payload=b"{}", **_):
        metadata = {"HTTPStatusCode": 200, "RequestId": str(uuid.uuid4()), "HTTPHeaders": {}, "RetryAttempts": 0}
        answer = {"StatusCode": 200, "ExecutedVersion": "$LATEST", "ResponseMetadata": metadata}
        check(Payload)
        try:
            body = functions.invoke(Payload)
            check(body)
        except FunctionError as error:
            body = json.dumps(error.payload).encode()
            answer["FunctionError"] = "Unhandled"
        except Busy:
            metadata["HTTPStatusCode"] = 429
            error = {"Code": "TooManyRequestsException", "Message": "Rate exceeded"}
            raise ClientError({"Error": error, "ResponseMetadata": metadata}, "Invoke")
        return {**answer, "Payload": io.BytesIO(body)}


def iso(value):
    """A time as the States Language writes it."""
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def patch():
    """Fills the gaps of the interpreter."""
    for name in ["jsonata.jsonata", "jsonata.validations", "component.common.string.string_expression"]:
        importlib.import_module(ASL + name).eval_jsonata_expression = evaluate
    lambdas = importlib.import_module(ASL + "component.state.exec.state_task.lambda_eval_utils")
    lambdas.boto_client_for = lambda **_: Lambda()
    variables = importlib.import_module(ASL + "eval.variable_store").VariableStore
    assign = variables.set

    def checked(self, variable_identifier, variable_value):
        check(json.dumps(variable_value, default=iso))
        assign(self, variable_identifier, variable_value)

    variables.set = checked
    expressions = importlib.import_module(ASL + "jsonata.jsonata")
    # It forgets to escape what a text holds.
    declare = lambda bindings: "".join("%s:=%s;" % (name, json.dumps(value, default=iso)) for name, value in bindings.items())
    for module in list(sys.modules.values()):
        if getattr(module, "encode_jsonata_variable_declarations", None) is expressions.encode_jsonata_variable_declarations:
            if module is not expressions:
                module.encode_jsonata_variable_declarations = declare
    expressions.encode_jsonata_variable_declarations = declare


def execute(states, order):
    """Runs a state machine to its end."""
    global functions
    env = {"SMLT_BOOK": order["book"], "SMLT_SHARED": order["shared"]}
    limit, faults, new = order.get("limit", 60), order.get("faults", {}), order.get("new", False)
    functions = Functions(order["worker"], env, limit, faults, new)
    role = "arn:aws:iam::123456789012:role/role"
    name = "m" + uuid.uuid4().hex
    try:
        machine = states.create_state_machine(name=name, definition=order["definition"], roleArn=role)
        started = states.start_execution(
            stateMachineArn=machine["stateMachineArn"], name=order.get("name", "run"), input=json.dumps(order["input"])
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
    patch()
    for line in sys.stdin:
        try:
            answer = execute(states, json.loads(line))
        except Exception as error:
            answer = {"status": "BROKEN", "cause": repr(error)}
        print(json.dumps(answer), flush=True)


main()
