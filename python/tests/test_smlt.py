"""What `smlt` owes to smltc on one side and to scripts on the other."""

import contextlib
import dataclasses
import datetime
import enum
import importlib
import io
import json
import os
import pathlib
import socket
import sys
import tempfile
import threading
import time
import typing
import unittest
from typing import List, Optional
from unittest import mock

import smlt


class Kind(enum.Enum):
    Small = 1
    Large = 2


@dataclasses.dataclass
class Report:
    loss: float
    parts: List[int]


class Case(unittest.TestCase):
    """Each test has an environment, a command line and a fresh module of its own."""

    def setUp(self) -> None:
        self.folder = pathlib.Path(self.enterContext_(tempfile.TemporaryDirectory()))
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SMLT_")}
        self.enterContext_(mock.patch.dict(os.environ, clean, clear=True))
        self.output = self.enterContext_(contextlib.redirect_stdout(io.StringIO()))
        importlib.reload(smlt)

    def enterContext_(self, manager):
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value

    def by_hand(self, *words: str) -> None:
        self.enterContext_(mock.patch.object(sys, "argv", ["train.py", *words]))

    def in_smltc(self, deadline: Optional[float] = None, **params) -> None:
        (self.folder / "in.json").write_text(json.dumps(params))
        os.environ.update(
            SMLT_IN=str(self.folder / "in.json"),
            SMLT_OUT=str(self.folder / "out.json"),
            SMLT_PROJECT="/project",
            SMLT_CHECKPOINT=str(self.folder / "checkpoint"),
        )
        if deadline is not None:
            os.environ["SMLT_DEADLINE"] = str(deadline)
        importlib.reload(smlt)

    def written(self):
        return json.loads((self.folder / "out.json").read_text())


class Parameters(Case):
    def test_they_are_read_by_name_and_as_a_mapping(self):
        self.in_smltc(lr=0.1, keep=["a", "b"])
        self.assertEqual(smlt.params.lr, 0.1)
        self.assertEqual(smlt.params["keep"], ["a", "b"])
        self.assertEqual(dict(smlt.params), {"lr": 0.1, "keep": ["a", "b"]})
        with self.assertRaisesRegex(AttributeError, "no parameter `rate`; its parameters: lr, keep"):
            smlt.params.rate

    def test_there_are_none_by_hand(self):
        self.assertEqual(dict(smlt.params), {})
        self.assertFalse(smlt.inside())
        self.assertEqual(smlt.project(), pathlib.Path.cwd())


class Events(Case):
    def test_they_are_lines_of_the_output_where_there_is_no_socket(self):
        self.in_smltc()
        smlt.metric("loss", 0.25, step=3)
        smlt.metric("loss", float("nan"))
        smlt.progress(7)
        self.assertEqual(
            [json.loads(line) for line in self.output.getvalue().splitlines()],
            [{"metric": "loss", "value": 0.25, "step": 3}, {"metric": "loss", "value": "NaN"}, {"progress": 1.0}],
        )

    def test_they_go_through_the_socket_where_there_is_one(self):
        self.in_smltc()
        path = str(self.folder / "events")
        listener = self.enterContext_(socket.socket(socket.AF_UNIX))
        listener.bind(path)
        listener.listen()
        os.environ["SMLT_EVENTS"] = path
        smlt.metric("loss", 0.5)
        smlt.progress(0.5)
        self.enterContext_(smlt._events._socket)
        connection = self.enterContext_(listener.accept()[0])
        with connection.makefile() as lines:
            self.assertEqual(json.loads(lines.readline()), {"metric": "loss", "value": 0.5})
            self.assertEqual(json.loads(lines.readline()), {"progress": 0.5})
        self.assertEqual(self.output.getvalue(), "")

    def test_threads_write_whole_lines(self):
        self.in_smltc()
        threads = [threading.Thread(target=lambda: [smlt.progress(0.5) for _ in range(50)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        lines = self.output.getvalue().splitlines()
        self.assertEqual([json.loads(line) for line in lines], [{"progress": 0.5}] * 200)

    def test_they_are_words_by_hand(self):
        smlt.metric("loss", 0.25, step=3)
        smlt.progress(0.5)
        self.assertEqual(self.output.getvalue(), "     3  loss = 0.25\n 50.0% done\n")


class Results(Case):
    def test_all_that_json_has_and_what_it_lacks(self):
        class Array:
            def tolist(self):
                return [1.0, float("inf")]

        self.in_smltc()
        smlt.result(
            truth=True,
            none=None,
            nan=float("nan"),
            low=float("-inf"),
            file=pathlib.Path("model.pt"),
            kind=Kind.Large,
            report=Report(0.5, [1, 2]),
            wait=datetime.timedelta(minutes=1),
            array=Array(),
        )
        self.assertEqual(
            self.written(),
            {
                "truth": True,
                "none": None,
                "nan": "NaN",
                "low": "-inf",
                "file": os.path.abspath("model.pt"),
                "kind": "Large",
                "report": {"loss": 0.5, "parts": [1, 2]},
                "wait": 60.0,
                "array": [1.0, "inf"],
            },
        )

    def test_what_no_result_can_hold_is_refused_and_leaves_none(self):
        self.in_smltc()
        with self.assertRaisesRegex(TypeError, "can't hold a function"):
            smlt.result(loss=lambda: 0)
        self.assertFalse((self.folder / "out.json").exists())

    def test_they_are_printed_by_hand(self):
        smlt.result(loss=0.5, note="short")
        self.assertEqual(self.output.getvalue(), "loss: 0.5\nnote: short\n")


class Checkpoints(Case):
    def test_what_one_attempt_saves_the_next_one_loads(self):
        self.in_smltc()
        self.assertEqual(smlt.checkpoint.load({"epoch": 0}), {"epoch": 0})
        smlt.checkpoint.save({"epoch": 3})
        self.in_smltc()
        self.assertEqual(smlt.checkpoint.load(), {"epoch": 3})

    def test_a_file_is_there_whole_or_not_at_all(self):
        self.in_smltc()
        with smlt.checkpoint.writing("state.bin") as file:
            file.write(b"one")
        with self.assertRaises(KeyboardInterrupt), smlt.checkpoint.writing("state.bin") as file:
            file.write(b"tw")
            raise KeyboardInterrupt
        self.assertEqual((smlt.checkpoint / "state.bin").read_bytes(), b"one")
        self.assertEqual(os.listdir(smlt.checkpoint.path), ["state.bin"])

    def test_by_hand_it_is_a_new_folder_each_time(self):
        first = smlt.checkpoint.path
        smlt.checkpoint.save(1)
        importlib.reload(smlt)
        self.assertNotEqual(smlt.checkpoint.path, first)
        self.assertIsNone(smlt.checkpoint.load())


class Limits(Case):
    def test_without_them_it_is_never_time_to_stop(self):
        self.in_smltc()
        self.assertIsNone(smlt.time_left())
        self.assertIsNone(smlt.budget())
        self.assertFalse(smlt.should_stop(1e9))

    def test_a_step_must_fit_into_the_time_left(self):
        self.in_smltc(deadline=100)
        self.assertLessEqual(smlt.time_left(), 100)
        self.assertFalse(smlt.should_stop(50))
        self.assertTrue(smlt.should_stop(50, reserve=60))
        self.assertTrue(smlt.should_stop(101))

    def test_the_time_before_the_import_counts(self):
        self.in_smltc(deadline=100)
        earlier = time.time() - 60
        os.utime(self.folder / "in.json", (earlier, earlier))
        importlib.reload(smlt)
        self.assertLess(smlt.time_left(), 41)

    def test_a_step_is_as_long_as_the_longest_before(self):
        self.in_smltc(deadline=100)
        began = time.monotonic()
        for after, stops in [(0, False), (40, False), (50, False), (55, False), (60, True)]:
            with mock.patch.object(time, "monotonic", return_value=began + after):
                self.assertEqual(smlt.should_stop(), stops, after)

    def test_the_budget_is_a_number(self):
        os.environ["SMLT_BUDGET"] = "0.25"
        self.assertEqual(smlt.budget(), 0.25)


class Tasks(Case):
    def test_smltc_gives_the_parameters_and_gets_the_result(self):
        @smlt.task
        def main(lr: float, table: pathlib.Path, kind: Kind, note: Optional[str], epochs: int = 3):
            return {"seen": [lr, type(lr).__name__, table.name, kind.name, note, epochs]}

        self.in_smltc(lr=1, table="/data/a.csv", kind="Large", note=None)
        main()
        self.assertEqual(self.written(), {"seen": [1.0, "float", "a.csv", "Large", None, 3]})

    def test_a_secret_is_found_in_the_environment(self):
        @smlt.task
        def main(token: str):
            return {"length": len(token)}

        self.in_smltc()
        os.environ["token"] = "abc"
        main()
        self.assertEqual(self.written(), {"length": 3})

    def test_a_parameter_too_many_or_too_few_is_named(self):
        @smlt.task
        def main(rate: float):
            pass

        self.in_smltc(lr=1)
        with self.assertRaisesRegex(SystemExit, "has a parameter `lr`, which `main` does not take"):
            main()
        self.in_smltc()
        with self.assertRaisesRegex(SystemExit, "`main` needs `rate`"):
            main()

    def test_the_command_line_gives_the_parameters_by_hand(self):
        @smlt.task
        def main(
            lr: float,
            sizes: List[int],
            table: pathlib.Path = pathlib.Path("a.csv"),
            kind: Kind = Kind.Small,
            mode: typing.Literal["fast", "slow"] = "fast",
            is_long: bool = False,
            note: Optional[str] = None,
        ):
            """Train."""
            return {"seen": [lr, sizes, table.name, kind.name, mode, is_long, note], "known": smlt.params.lr}

        words = ["--lr", "1", "--sizes", "1", "2", "--kind", "Large", "--is-long", "--table", "b/c.csv"]
        self.by_hand(*words)
        main()
        self.assertEqual(
            self.output.getvalue(), 'seen: [1.0, [1, 2], "c.csv", "Large", "fast", true, null]\nknown: 1.0\n'
        )

    def test_a_wrong_command_line_is_told_of(self):
        @smlt.task
        def main(kind: Kind, share: str = "50%"):
            pass

        for words, message in [((), "required: --kind"), (("--kind", "Tiny"), "there are Small, Large")]:
            self.by_hand(*words)
            with contextlib.redirect_stderr(io.StringIO()) as errors, self.assertRaises(SystemExit):
                main()
            self.assertIn(message, errors.getvalue())
        self.by_hand("--help")
        with self.assertRaises(SystemExit):
            main()
        self.assertIn("default: 50%", self.output.getvalue())

    def test_with_arguments_it_is_an_ordinary_function(self):
        @smlt.task
        def main(lr: float):
            """Train."""
            return {"lr": lr}

        self.in_smltc()
        self.assertEqual(main(0.5), {"lr": 0.5})
        self.assertEqual(main.__doc__, "Train.")
        self.assertFalse((self.folder / "out.json").exists())

    def test_a_dataclass_is_a_result_and_a_number_is_not(self):
        @smlt.task
        def good() -> Report:
            return Report(0.5, [1])

        @smlt.task
        def bad() -> int:
            return 3

        self.in_smltc()
        good()
        self.assertEqual(self.written(), {"loss": 0.5, "parts": [1]})
        with self.assertRaisesRegex(TypeError, "`bad` returned a int, not a dict of fields"):
            bad()


if __name__ == "__main__":
    unittest.main()
