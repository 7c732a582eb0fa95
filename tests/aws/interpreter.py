"""What moto's interpreter of state machines lacks: JSONata, and functions that answer as Lambda does."""

import importlib
import io
import json
import sys
import uuid

import jsonata
from botocore.exceptions import ClientError
from functions import Busy, FunctionError

# The bytes that a state may take in, hand on, or keep in a variable.
MOST = 256 * 1024

ASL = "moto.stepfunctions.parser.asl."


def evaluate(expression):
    """JSONata, which moto leaves out."""
    try:
        return jsonata.Jsonata(expression).evaluate(None)
    except Exception as error:
        from moto.stepfunctions.parser.asl.jsonata.jsonata import JSONataException
        raise JSONataException("UNKNOWN", str(error))


def rename(fields, change):
    """Changes the first letter of all names."""
    for name in list(fields):
        fields[change(name[0]) + name[1:]] = fields.pop(name)


def check(text):
    """What moto checks of a state's output alone."""
    if len(text) > MOST:
        raise ValueError("States.DataLimitExceeded: %d bytes" % len(text))


class Lambda:
    """The client that the interpreter calls functions with; `call` takes a function's name and the payload."""

    def __init__(self, call):
        self.call = call

    def invoke(self, FunctionName, Payload=b"{}", **_):
        metadata = {"HTTPStatusCode": 200, "RequestId": str(uuid.uuid4()), "HTTPHeaders": {}, "RetryAttempts": 0}
        answer = {"StatusCode": 200, "ExecutedVersion": "$LATEST", "ResponseMetadata": metadata}
        check(Payload)
        try:
            body = self.call(FunctionName, Payload)
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


def patch(call):
    """Fills the gaps of the interpreter."""
    for name in ["jsonata.jsonata", "jsonata.validations", "component.common.string.string_expression"]:
        importlib.import_module(ASL + name).eval_jsonata_expression = evaluate
    lambdas = importlib.import_module(ASL + "component.state.exec.state_task.lambda_eval_utils")
    lambdas.boto_client_for = lambda **_: Lambda(call)
    variables = importlib.import_module(ASL + "eval.variable_store").VariableStore
    assign = variables.set

    def checked(self, variable_identifier, variable_value):
        check(json.dumps(variable_value, default=iso))
        assign(self, variable_identifier, variable_value)

    variables.set = checked
    # It gives boto the names of the States Language, `StateMachineArn`, and reads boto's, `executionArn`, as if they were
    # those; and all executions without a name have the same one. AWS does neither.
    executions = importlib.import_module(ASL + "component.state.exec.state_task.service.state_task_service_sfn")
    service = executions.StateTaskServiceSfn
    normalise = service._normalise_parameters

    def to_boto(self, parameters, **rest):
        normalise(self, parameters, **rest)
        rename(parameters, str.lower)
        parameters.setdefault("name", uuid.uuid4().hex)

    service._normalise_parameters = to_boto
    service._normalise_response = lambda self, response, **_: rename(response, str.upper)
    expressions = importlib.import_module(ASL + "jsonata.jsonata")
    # It forgets to escape what a text holds.
    declare = lambda bindings: "".join("%s:=%s;" % (name, json.dumps(value, default=iso)) for name, value in bindings.items())
    for module in list(sys.modules.values()):
        if getattr(module, "encode_jsonata_variable_declarations", None) is expressions.encode_jsonata_variable_declarations:
            if module is not expressions:
                module.encode_jsonata_variable_declarations = declare
    expressions.encode_jsonata_variable_declarations = declare
