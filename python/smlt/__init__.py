"""Write a task of an smltc workflow in Python.

    import smlt

    @smlt.task
    def main(lr: float, epochs: int = 10):
        for epoch in range(epochs):
            loss = ...
            smlt.metric("loss", loss, step=epoch)
            smlt.progress((epoch + 1) / epochs)
            if smlt.should_stop():
                break
        return {"loss": loss}

    if __name__ == "__main__":
        main()

`smltc run` starts it with the parameters of the task; from a shell, `python train.py --lr 0.1` does the same without
smltc: metrics are printed, and nothing is cut short. Only the standard library is needed.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import dataclasses
import enum
import functools
import inspect
import json
import math
import os
import pathlib
import pickle
import shutil
import socket
import sys
import tempfile
import threading
import time
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Optional, Union

__version__ = "0.1.0"
__all__ = [
    "budget",
    "checkpoint",
    "inside",
    "metric",
    "params",
    "progress",
    "project",
    "result",
    "should_stop",
    "task",
    "time_left",
]


def inside() -> bool:
    """Whether smltc started this program; if not, it was started by hand."""
    return "SMLT_OUT" in os.environ


def project() -> pathlib.Path:
    """The folder of the workflow file; by hand, the folder one is in."""
    return pathlib.Path(os.environ.get("SMLT_PROJECT") or os.getcwd())


# Parameters


class Params(Mapping[str, Any]):
    """The task's parameters, as `params.lr`, `params["lr"]` or `dict(params)`.

    Durations are seconds, money is dollars, sizes are bytes, and files are paths. By hand, they are what the function
    marked with `task` was given on the command line.
    """

    def __init__(self) -> None:
        self._known: Optional[dict[str, Any]] = None

    def _values(self) -> dict[str, Any]:
        if self._known is None:
            path = os.environ.get("SMLT_IN")
            self._known = json.loads(pathlib.Path(path).read_text(encoding="utf-8")) if path else {}
        return self._known

    def __getitem__(self, name: str) -> Any:
        return self._values()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())

    def __getattr__(self, name: str) -> Any:
        values = {} if name.startswith("__") else self._values()
        if name not in values:
            known = ", ".join(values) or "none"
            raise AttributeError(f"the task has no parameter `{name}`; its parameters: {known}")
        return values[name]

    def __repr__(self) -> str:
        return f"Params({self._values()!r})"


params = Params()


# Metrics and progress


class _Events:
    """The way to smltc: its socket, or else the output, where smltc looks for such lines as well."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: Optional[socket.socket] = None
        self._owner = 0

    def send(self, event: Mapping[str, Any]) -> None:
        line = json.dumps(event, allow_nan=False) + "\n"
        with self._lock:
            try:
                self._connected().sendall(line.encode())
                return
            except OSError:
                self._socket = None
        print(line, end="", flush=True)

    def _connected(self) -> socket.socket:
        # A forked process must not write into the middle of its parent's lines.
        if self._socket is None or self._owner != os.getpid():
            if not hasattr(socket, "AF_UNIX") or "SMLT_EVENTS" not in os.environ:
                raise OSError("there is no socket")
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.connect(os.environ["SMLT_EVENTS"])
            self._owner = os.getpid()
        return self._socket


_events = _Events()


def metric(name: str, value: Any, step: Optional[int] = None) -> None:
    """Report a metric, such as a loss, at a step that the program counts. `value` is anything that `float()` takes."""
    if inside():
        event = {"metric": name, "value": _plain(float(value))}
        _events.send(event if step is None else {**event, "step": int(step)})
    else:
        print(f"{'' if step is None else f'{step:>6}  '}{name} = {float(value):.6g}", flush=True)


def progress(share: float) -> None:
    """Report the share of the work that is done, from 0 to 1."""
    share = min(1.0, max(0.0, float(share)))
    if inside():
        _events.send({"progress": share})
    else:
        print(f"{share:>6.1%} done", flush=True)


# Results


def _plain(value: Any) -> Any:
    """A value as JSON has it. What JSON lacks is written as smltc reads it: `NaN` as a text, a file as its path."""
    if isinstance(value, enum.Enum):
        return value.name
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, os.PathLike):
        return os.path.abspath(os.fspath(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "total_seconds"):
        return value.total_seconds()
    # Arrays and numbers of NumPy, PyTorch and their like.
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    raise TypeError(f"a result can't hold a {type(value).__name__}; write it to a file and return the file's path")


def result(**fields: Any) -> None:
    """Write the task's result: a value for each field of the type that the task declares.

    A field of the type `Artifact` is the path of a file. Written twice, the second result counts.
    """
    plain = {name: _plain(value) for name, value in fields.items()}
    path = os.environ.get("SMLT_OUT")
    if path:
        with _writing(pathlib.Path(path)) as file:
            file.write(json.dumps(plain).encode())
    else:
        for name, value in plain.items():
            print(f"{name}: {value if isinstance(value, str) else json.dumps(value)}", flush=True)


@contextlib.contextmanager
def _writing(path: pathlib.Path) -> Iterator[BinaryIO]:
    """A file that takes the place of the one at `path` when the block ends well: there is never half a file."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


# Checkpoints


class Checkpoint:
    """A folder that survives the retries of a step: what an attempt saves there, the next one goes on from.

    By hand it is a new folder each time, unless `$SMLT_CHECKPOINT` names one.
    """

    def __init__(self) -> None:
        self._temporary: Optional[str] = None

    @property
    def path(self) -> pathlib.Path:
        """The folder."""
        given = os.environ.get("SMLT_CHECKPOINT")
        if given:
            os.makedirs(given, exist_ok=True)
            return pathlib.Path(given)
        if self._temporary is None:
            self._temporary = tempfile.mkdtemp(prefix="smlt-checkpoint-")
            atexit.register(shutil.rmtree, self._temporary, ignore_errors=True)
        return pathlib.Path(self._temporary)

    def __truediv__(self, name: str) -> pathlib.Path:
        """The path of a file in the folder: `smlt.checkpoint / "state.pt"`."""
        return self.path / name

    def writing(self, name: str) -> contextlib.AbstractContextManager[BinaryIO]:
        """Open a file of the folder for writing; it is there whole or not at all, even if the program is killed.

        with smlt.checkpoint.writing("state.pt") as file:
            torch.save(state, file)
        """
        return _writing(self.path / name)

    def save(self, state: Any, name: str = "state") -> None:
        """Save anything that can be pickled."""
        with self.writing(f"{name}.pickle") as file:
            pickle.dump(state, file)

    def load(self, default: Any = None, name: str = "state") -> Any:
        """What was saved last, or `default` where nothing was."""
        try:
            with open(self.path / f"{name}.pickle", "rb") as file:
                return pickle.load(file)
        except FileNotFoundError:
            return default


checkpoint = Checkpoint()


# Limits


def _age() -> float:
    """Seconds since the attempt began: smltc writes the parameters just before it starts the program."""
    try:
        return max(0.0, time.time() - os.stat(os.environ["SMLT_IN"]).st_mtime)
    except (KeyError, OSError):
        return 0.0


_began = time.monotonic() - _age()


def time_left() -> Optional[float]:
    """Seconds until the program is killed, by a deadline or a timeout; `None` where there is neither."""
    given = os.environ.get("SMLT_DEADLINE")
    return None if given is None else float(given) - (time.monotonic() - _began)


def budget() -> Optional[float]:
    """Dollars left in the budget when the program was started; `None` where there is no budget."""
    given = os.environ.get("SMLT_BUDGET")
    return None if given is None else float(given)


class _Pace:
    last: Optional[float] = None
    longest = 0.0


def should_stop(step_seconds: Optional[float] = None, *, reserve: float = 2.0) -> bool:
    """Whether there is no time for another step, so that a loop ends by itself before its deadline.

    A step takes `step_seconds`, or as long as the longest one so far between two calls. `reserve` is the time to keep
    for what comes after the loop, in seconds. Without a deadline it is never time to stop.
    """
    now = time.monotonic()
    if _Pace.last is not None:
        _Pace.longest = max(_Pace.longest, now - _Pace.last)
    _Pace.last = now
    left = time_left()
    return left is not None and left < (_Pace.longest if step_seconds is None else step_seconds) + reserve


# Tasks


Function = typing.TypeVar("Function", bound=Callable[..., Any])


def task(function: Function) -> Function:
    """Make a function the whole of a task: its parameters are the task's, and the mapping it returns is the result.

    Called without arguments, it takes them from smltc, or by hand from the command line, for which the types of its
    parameters are read. Called with arguments, it is an ordinary function.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if args or kwargs:
            return function(*args, **kwargs)
        types = typing.get_type_hints(function)
        values = _given(function, signature, types) if inside() else _from_command_line(function, signature, types)
        returned = function(**values)
        if dataclasses.is_dataclass(returned) and not isinstance(returned, type):
            result(**{field.name: getattr(returned, field.name) for field in dataclasses.fields(returned)})
        elif isinstance(returned, Mapping):
            result(**returned)
        elif returned is not None:
            raise TypeError(f"`{function.__name__}` returned a {type(returned).__name__}, not a dict of fields")
        return returned

    return typing.cast(Function, call)


def _given(function: Callable[..., Any], signature: inspect.Signature, types: Mapping[str, Any]) -> dict[str, Any]:
    takes_all = any(param.kind is param.VAR_KEYWORD for param in signature.parameters.values())
    named = {name for name, param in signature.parameters.items() if param.kind is not param.VAR_KEYWORD}
    values: dict[str, Any] = {}
    for name, value in params.items():
        if name not in named and not takes_all:
            raise SystemExit(f"smlt: the task has a parameter `{name}`, which `{function.__name__}` does not take")
        values[name] = _typed(value, types.get(name, Any))
    for name in sorted(named):
        if name not in values and signature.parameters[name].default is inspect.Parameter.empty:
            # A secret is no parameter in a file, but a variable.
            if name not in os.environ:
                raise SystemExit(f"smlt: `{function.__name__}` needs `{name}`, which the task has no parameter for")
            values[name] = os.environ[name]
    return values


def _parts(type_: Any) -> tuple[Any, bool]:
    """A type without its `Optional`, and whether it had one."""
    arms = typing.get_args(type_)
    if typing.get_origin(type_) is Union or type(type_).__name__ == "UnionType":
        others = [arm for arm in arms if arm is not type(None)]
        return (others[0] if len(others) == 1 else Any), len(others) < len(arms)
    return type_, False


def _typed(value: Any, type_: Any) -> Any:
    """A value from JSON as a parameter's type wants it."""
    inner, _ = _parts(type_)
    if value is None:
        return None
    if inner is float and isinstance(value, (int, str)):
        return float(value)
    if isinstance(inner, type) and issubclass(inner, pathlib.PurePath):
        return inner(value)
    if isinstance(inner, type) and issubclass(inner, enum.Enum):
        return inner[value]
    if typing.get_origin(inner) is list and isinstance(value, list):
        (item,) = typing.get_args(inner) or (Any,)
        return [_typed(each, item) for each in value]
    return value


def _from_command_line(
    function: Callable[..., Any], signature: inspect.Signature, types: Mapping[str, Any]
) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=inspect.getdoc(function))
    for name, param in signature.parameters.items():
        if param.kind is param.VAR_KEYWORD:
            continue
        type_, optional = _parts(types.get(name, str))
        required = param.default is param.empty and not optional
        default = None if param.default is param.empty else param.default
        options: dict[str, Any] = {"required": required, "default": default, "dest": name}
        if not required:
            options["help"] = f"default: {default}".replace("%", "%%")
        flag = f"--{name.replace('_', '-')}"
        flags = [flag] if flag == f"--{name}" else [flag, f"--{name}"]
        if type_ is bool:
            parser.add_argument(*flags, action=argparse.BooleanOptionalAction, **options)
        elif typing.get_origin(type_) is list:
            (item,) = typing.get_args(type_) or (str,)
            parser.add_argument(*flags, nargs="*", type=_reader(item), **options)
        elif typing.get_origin(type_) is typing.Literal:
            choices = typing.get_args(type_)
            parser.add_argument(*flags, type=type(choices[0]), choices=choices, **options)
        elif isinstance(type_, type) and issubclass(type_, enum.Enum):
            parser.add_argument(*flags, type=_reader(type_), choices=list(type_), metavar=flag[2:].upper(), **options)
        else:
            parser.add_argument(*flags, type=_reader(type_), **options)
    values = vars(parser.parse_args(sys.argv[1:]))
    params._known = dict(values)
    return values


def _reader(type_: Any) -> Callable[[str], Any]:
    if isinstance(type_, type) and issubclass(type_, enum.Enum):

        def member(text: str) -> Any:
            try:
                return type_[text]
            except KeyError:
                raise argparse.ArgumentTypeError(f"there are {', '.join(type_.__members__)}") from None

        return member
    if type_ in (int, float, str) or (isinstance(type_, type) and issubclass(type_, pathlib.PurePath)):
        return typing.cast("Callable[[str], Any]", type_)
    # Records, maps and lists of lists are JSON.
    return json.loads
