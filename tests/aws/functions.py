"""Lambda functions as processes: each worker talks to a Runtime API of its own, as it does in the cloud."""

import glob
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

API = "/2018-06-01/runtime/"


class FunctionError(Exception):
    """What Lambda answers in the place of a result."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.payload = {"errorType": kind, "errorMessage": message}


class Worker:
    """A process of the real worker, which does one invocation after another."""

    def __init__(self, program, env, log):
        self.orders = queue.Queue()
        self.answers = queue.Queue()
        handler = type("Handler", (RuntimeApi,), {"worker": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        # A worker that has ended hangs up.
        self.server.handle_error = lambda *_: None
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        address = "127.0.0.1:%d" % self.server.server_address[1]
        self.temporary = tempfile.mkdtemp()
        env = {**os.environ, **env, "TMPDIR": self.temporary, "AWS_LAMBDA_RUNTIME_API": address, "AWS_LAMBDA_FUNCTION_NAME": "worker",
               "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024", "AWS_LAMBDA_FUNCTION_VERSION": "1",
               "AWS_LAMBDA_LOG_GROUP_NAME": "", "AWS_LAMBDA_LOG_STREAM_NAME": ""}
        self.process = subprocess.Popen([program], env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=lambda: [log(line) for line in self.process.stderr], daemon=True).start()

    def invoke(self, payload, limit):
        """The answer to a payload, within a time limit in seconds."""
        deadline = time.time() + limit
        self.orders.put((str(uuid.uuid4()), payload, deadline))
        while True:
            try:
                kind, body = self.answers.get(timeout=0.02)
            except queue.Empty:
                if self.process.poll() is not None:
                    raise FunctionError("Runtime.ExitError", "the worker exited: %s" % self.process.returncode)
                if time.time() > deadline:
                    self.end()
                    raise FunctionError("Sandbox.Timedout", "Task timed out after %.2f seconds" % limit)
                continue
            if kind == "error":
                error = json.loads(body)
                raise FunctionError(error["errorType"], error["errorMessage"])
            return body

    def is_well(self):
        return self.process.poll() is None

    def end(self):
        self.process.kill()
        self.process.wait()
        self.server.shutdown()
        self.server.server_close()
        shutil.rmtree(self.temporary, ignore_errors=True)


class RuntimeApi(BaseHTTPRequestHandler):
    """https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html"""

    protocol_version = "HTTP/1.1"
    worker = None

    def do_GET(self):
        if self.path != API + "invocation/next":
            return self.reply(404, b"")
        request, payload, deadline = self.worker.orders.get()
        self.reply(200, payload, {
            "Lambda-Runtime-Aws-Request-Id": request,
            "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:worker",
            "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000",
        })

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or self.chunks()
        if self.path.endswith("/response"):
            self.worker.answers.put(("response", body))
        elif self.path.endswith("/error"):
            self.worker.answers.put(("error", body))
        self.reply(202, b"{}")

    def chunks(self):
        body = b""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return body
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def reply(self, status, body, headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Functions:
    """All functions of a deployment: workers are started as they are needed, and kept warm unless all are to be new."""

    def __init__(self, program, env, limit, faults, new, log=lambda line: None):
        self.program, self.env, self.limit, self.new, self.log = program, env, limit, new, log
        self.idle, self.all, self.lock = [], [], threading.Lock()
        self.calls = 0
        self.faults = dict(faults)

    def invoke(self, payload):
        with self.lock:
            self.calls += 1
            fault = self.faults.get(str(self.calls))
            worker = self.idle.pop() if self.idle else None
        if fault == "busy":
            raise Busy()
        if worker is None or not worker.is_well():
            worker = Worker(self.program, self.env, self.log)
            with self.lock:
                self.all.append(worker)
        if fault == "hang":
            worker.process.send_signal(signal.SIGSTOP)
        elif fault == "lose":
            self.lose()
        elif fault is not None:
            threading.Timer(fault, worker.process.kill).start()
        try:
            return worker.invoke(payload, self.limit)
        finally:
            if self.new:
                worker.end()
            elif worker.is_well():
                with self.lock:
                    self.idle.append(worker)

    def lose(self):
        """Loses what runs keep of what their calls cost, and of what their searches have tried."""
        for kind in ["ledger", "running", "searches"]:
            for folder in glob.glob(os.path.join(self.env["SMLT_SHARED"], "runs", "*", kind)):
                # Others may write in it.
                shutil.rmtree(folder, ignore_errors=True)

    def end(self):
        for worker in self.all:
            worker.end()


class Busy(Exception):
    """Too many of them are at work."""
