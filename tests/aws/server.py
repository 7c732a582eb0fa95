"""An account of AWS on this machine: moto answers requests, its interpreter runs state machines, and functions are processes of
what was deployed as them. Takes two words: the file in which every call is noted that a role has to be allowed, and a folder
that holds what images of functions hold.

Writes its address. Then does what lines of JSON say, as someone else in the account: `[service, method, arguments]`, and
writes what comes of each. Ends with its input.
"""

import io
import json
import logging
import os
import re
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from urllib.parse import parse_qs, unquote

import boto3
from functions import Functions
from interpreter import ASL, patch
from moto.core.config import default_user_config

# Who deploys is not asked what may be done; whose keys these are is.
WORKER = "AKIAWORKER"

CALLS, IMAGE = sys.argv[1:]
FAIL = os.path.join(os.path.dirname(CALLS), "fail")

pools = {}
lock = threading.Lock()
address = None


def note(role, action, resource, **more):
    """Keeps a call that a role has to be allowed."""
    with lock, open(CALLS, "a") as calls:
        calls.write(json.dumps({"role": role, "action": action, "resource": resource, **more}) + "\n")


def deployed(arn):
    """The processes of a function, as it is deployed now."""
    from moto.awslambda.models import lambda_backends

    _, _, _, region, account, _, name, *_ = arn.split(":")
    function = lambda_backends[account][region].get_function(name)
    folder = IMAGE
    key = (name, function.code_sha_256, json.dumps(function.environment_vars, sort_keys=True))
    with lock:
        if key not in pools:
            if function.package_type != "Image":
                folder = tempfile.mkdtemp()
                with zipfile.ZipFile(io.BytesIO(function.code_bytes)) as code:
                    for about in code.infolist():
                        os.chmod(code.extract(about, folder), about.external_attr >> 16)
            env = {
                **function.environment_vars,
                "LAMBDA_TASK_ROOT": folder,
                "AWS_REGION": region,
                "AWS_ENDPOINT_URL": address,
                "AWS_ACCESS_KEY_ID": WORKER,
                "AWS_SECRET_ACCESS_KEY": "secret",
            }
            limit = min(function.timeout, int(os.environ.get("LIMIT", "60")))
            keep = writer(region, account, "/aws/lambda/" + name)
            pools[key] = Functions(os.path.join(folder, "bootstrap"), env, limit, {}, False, keep)
        return pools[key]


def writer(region, account, group):
    """What keeps lines in a group of logs."""
    from moto.logs.models import logs_backends

    backend, stream = logs_backends[account][region], uuid.uuid4().hex
    backend.create_log_stream(group, stream)
    return lambda line: backend.put_log_events(
        group, stream, [{"timestamp": int(time.time() * 1000), "message": line.rstrip("\n")}])


def call(arn, payload):
    """Calls a function; what its log is written with is done by Lambda, as its role."""
    note("machine", "lambda:InvokeFunction", arn)
    group = arn.replace(":lambda:", ":logs:").replace(":function:", ":log-group:/aws/lambda/")
    for action in ["logs:CreateLogStream", "logs:PutLogEvents"]:
        note("worker", action, group + ":log-stream:stream")
    return deployed(arn).invoke(payload)


def machines():
    """Lets executions start by an alias, and notes what distributed maps start."""
    import importlib

    from moto.stepfunctions.parser.models import StepFunctionsParserBackend as Backend

    start = Backend.start_execution

    def start_execution(self, state_machine_arn, *args, **kwargs):
        if state_machine_arn.count(":") == 7 and not state_machine_arn.rsplit(":", 1)[1].isdigit():
            self.describe_state_machine_alias(state_machine_arn)
            state_machine_arn = state_machine_arn.rsplit(":", 1)[0]
        return start(self, state_machine_arn, *args, **kwargs)

    Backend.start_execution = start_execution
    module = importlib.import_module(
        ASL + "component.state.exec.state_map.iteration.distributed_iteration_component")
    component = module.DistributedIterationComponent
    evaluate = component._eval_body

    def eval_body(self, env):
        execution = env.states.context_object.context_object_data["Execution"]["Id"]
        machine = env.states.context_object.context_object_data["StateMachine"]["Id"]
        note("machine", "states:StartExecution", machine)
        for action in ["states:DescribeExecution", "states:StopExecution"]:
            note("machine", action, execution.rsplit(":", 1)[0] + "/map:child")
        return evaluate(self, env)

    component._eval_body = eval_body
    service = importlib.import_module(ASL + "component.state.exec.state_task.service.state_task_service_sfn")
    normalise = service.StateTaskServiceSfn._normalise_parameters

    def normalise_and_note(self, parameters, **rest):
        normalise(self, parameters, **rest)
        machine = parameters.get("stateMachineArn")
        if machine:
            note("machine", "states:StartExecution", machine)
            execution = machine.replace(":stateMachine:", ":execution:") + ":part"
            for action in ["states:DescribeExecution", "states:StopExecution"]:
                note("machine", action, execution)
            # AWS hears of their end by a rule of its own.
            rule = ":".join(["arn:aws:events", *machine.split(":")[3:5], "rule/StepFunctionsGetEventsForStepFunctionsExecutionRule"])
            for action in ["events:DescribeRule", "events:PutRule", "events:PutTargets"]:
                note("machine", action, rule)

    service.StateTaskServiceSfn._normalise_parameters = normalise_and_note


S3 = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "POST": "s3:PutObject", "DELETE": "s3:DeleteObject"}


def watched(app):
    """Notes what workers ask of S3, and lets the requests fail that a test wants to fail."""

    def answer(environ, start_response):
        by = re.search(r"Credential=([^/]+)/[^/]+/([^/]+)/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
        query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        path = unquote(environ["PATH_INFO"]).lstrip("/")
        if by and by[1] == WORKER and by[3] == "s3":
            bucket, _, key = path.partition("/")
            if key:
                note("worker", S3[environ["REQUEST_METHOD"]], "arn:aws:s3:::%s/%s" % (bucket, key))
            elif "delete" in query:
                note("worker", "s3:DeleteObject", "arn:aws:s3:::%s/smlt/?" % bucket)
            else:
                note("worker", "s3:ListBucket", "arn:aws:s3:::" + bucket, prefix=query.get("prefix", [""])[0])
        if os.path.exists(FAIL) and by:
            with open(FAIL) as wanted:
                service, action = wanted.read().split()
            said = environ.get("HTTP_X_AMZ_TARGET", "") + environ["PATH_INFO"] + environ.get("QUERY_STRING", "")
            if service == "iam" and by[3] == "iam":
                length = int(environ.get("CONTENT_LENGTH") or 0)
                body = environ["wsgi.input"].read(length)
                environ["wsgi.input"] = io.BytesIO(body)
                said += body.decode()
            if by[3] == service and action in environ["REQUEST_METHOD"] + " " + said:
                body = b'{"__type": "AccessDeniedException", "message": "not authorized"}'
                kind = "application/x-amz-json-1.0"
                if service in ["iam", "s3"]:
                    body = b"<Error><Code>AccessDenied</Code><Message>not authorized</Message></Error>"
                    kind = "text/xml"
                start_response("403 Forbidden", [("Content-Type", kind), ("Content-Length", str(len(body))),
                                                 ("x-amzn-errortype", "AccessDeniedException")])
                return [body]
        return app(environ, start_response)

    return answer


def main():
    global address
    logging.disable()
    threading.excepthook = lambda _: None
    # Those are for moto itself.
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "moto")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "moto")
    default_user_config["stepfunctions"]["execute_state_machine"] = True
    patch(call)
    machines()
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    WSGIRequestHandler.log = lambda *_: None
    app = watched(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, True)
    address = "http://127.0.0.1:%d" % server.server_address[1]
    # There the interpreter asks for executions that an execution starts.
    os.environ["MOTO_PORT"] = str(server.server_address[1])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(address, flush=True)
    for line in sys.stdin:
        service, method, arguments = json.loads(line)
        client = boto3.client(service, region_name="eu-central-1", endpoint_url=address)
        try:
            answer = getattr(client, method)(**arguments)
        except Exception as error:
            answer = {"error": str(error)}
        print(json.dumps(answer, default=str), flush=True)
    for pool in pools.values():
        pool.end()


main()
