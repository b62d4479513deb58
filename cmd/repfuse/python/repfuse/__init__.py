"""Fuses the branches of re-parameterized networks in their weights, and proves that nothing changed.

    import repfuse

    repfuse.fuse("model.pth", "out.safetensors")     # files, as the command does
    state = repfuse.fuse(model.state_dict())         # tensors: a new state dict
    state = repfuse.fuse(model, x=(1, 3, 224, 224))  # with the network's own graph: nothing is assumed
    repfuse.verify("model.pth", "out.safetensors")   # a Verdict, true where nothing changed

    repfuse.export(model, "weights", x)              # what the command reads best
    repfuse.load(model, "out")                       # the fused weights, into the deploy form or the model itself
    repfuse.check(model, "out", x)                   # each fused layer against the running model

The verbs run the command that comes with the package. An option of the command is a keyword:
--dtype float16 is dtype="float16", --strict is strict=True, a list gives a flag several times.
What the command prints with --json is the result, whose members are attributes. What it could
not do is an Error, with its hint; each note is a warning of the category Note. Only what takes a
model or tensors imports torch.
"""
import json
import os
import subprocess
import sys
import tempfile
import threading
import warnings
from typing import Any, Callable, Dict, List, Mapping, Optional, Union

__all__ = [
    "plan", "fuse", "verify", "inspect", "convert", "unfuse", "export", "graph", "load", "check", "command",
    "Result", "Verdict", "Error", "Note",
]

Path = Union[str, "os.PathLike[str]"]
Progress = Callable[[int, int], None]


class Error(Exception):
    """What could not be done, on one line; hint is what helps, or ""."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message + ("\nhint: " + hint if hint else ""))
        self.message, self.hint = message, hint


class Note(UserWarning):
    """What was assumed, or is worth knowing."""


class Result(Dict[str, Any]):
    """What the command prints with --json, a dict whose members are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Verdict(Result):
    """What verify found: true where nothing changed. The members are those of
    `repfuse verify --json`; these are always there."""

    verdict: str  # "exact", "equivalent" or "different"
    rule: str
    conditions: List[Result]  # what the verdict depends on and nothing in the source shows
    measured: Result
    certificate: Result
    passed: bool  # the command's own answer: its exit status

    def __bool__(self) -> bool:
        return self.passed


def command() -> str:
    """The path of the command that comes with this package."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin", "repfuse.exe" if os.name == "nt" else "repfuse")


def plan(source: Path, **options: Any) -> Result:
    """What would be fused, what not, and why."""
    return _run("plan", [source], None, options)[0]


def fuse(source: Any, destination: Optional[Path] = None, x: Any = None, progress: Optional[Progress] = None, **options: Any) -> Any:
    """Fuses a checkpoint to destination, and returns what was done as a Result.

    source may be a model or a state dict too; x is an example input of the model, or its shape. Of
    these the destination may be left out: then the fused state dict is returned."""
    if isinstance(source, (str, os.PathLike)):
        if destination is None:
            raise TypeError("fuse of a file needs a destination")
        if x is not None:
            raise TypeError("x is an input of a model, and source is a file")
        return _run("fuse", [source, destination], progress, options)[0]
    with tempfile.TemporaryDirectory(prefix="repfuse-") as at:
        weights = os.path.join(at, "weights")
        export(source, weights, *([] if x is None else [x]))
        if destination is not None:
            return _run("fuse", [weights, destination], progress, options)[0]
        from .exporter.load import read
        _run("fuse", [weights, os.path.join(at, "out")], progress, options)
        return read(os.path.join(at, "out"))


def verify(source: Path, destination: Path, progress: Optional[Progress] = None, **options: Any) -> Verdict:
    """Proves that destination computes what source does, or says where it does not."""
    found, status = _run("verify", [source, destination], progress, options)
    return Verdict(found, passed=status == 0)


def inspect(source: Path, **options: Any) -> Result:
    """What is in a checkpoint that deployment trips over."""
    return _run("inspect", [source], None, options)[0]


def convert(source: Path, destination: Path, progress: Optional[Progress] = None, **options: Any) -> Result:
    """Writes a checkpoint in another format, nothing fused."""
    return _run("convert", [source, destination], progress, options)[0]


def unfuse(source: Path, destination: Path, progress: Optional[Progress] = None, **options: Any) -> Result:
    """Makes a deploy form trainable again; like is a checkpoint of the training form."""
    return _run("unfuse", [source, destination], progress, options)[0]


def export(model: Any, directory: Path, *x: Any, force: bool = False) -> Optional[str]:
    """Saves a model or a state dict for repfuse, with the graph if there is an input; see exporter/export.py."""
    from .exporter.export import export as f
    return f(model, os.fspath(directory), *x, force=force)


def graph(model: Any, path: Path, *x: Any) -> str:
    """Writes the graph alone, for fuse(…, graph=path) of a checkpoint that was saved another way."""
    from .exporter.export import graph as f
    return f(model, os.fspath(path), *x)


def load(model: Any, directory: Path, strict: bool = True) -> Any:
    """Loads a fused directory into the deploy form, or into the model that was exported; see exporter/load.py."""
    from .exporter.load import load as f
    return f(model, os.fspath(directory), strict)


def check(model: Any, directory: Path, *x: Any) -> bool:
    """Checks each fused layer in the running model; see exporter/check.py."""
    from .exporter.check import check as f
    return f(model, os.fspath(directory), *x)


def _flags(options: Mapping[str, Any]) -> List[str]:
    flags = []
    for name, value in options.items():
        flag = "--" + name.rstrip("_").replace("_", "-")
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if one is None or one is False:
                continue
            flags.append(flag if one is True else "%s=%s" % (flag, os.fspath(one) if isinstance(one, os.PathLike) else one))
    return flags


def _run(verb: str, paths: List[Path], progress: Optional[Progress], options: Mapping[str, Any]) -> "tuple[Result, int]":
    """Runs a verb: what it printed, and its exit status, which is 0 or 1."""
    line = [command(), verb, "--json", *_flags(options)] + (["--progress"] if progress else []) + ["--", *map(os.fspath, paths)]
    run = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
    said: List[str] = []
    raised: List[BaseException] = []

    def listen() -> None:
        for text in run.stderr or []:
            word, _, rest = text.rstrip("\n").partition(" ")
            if word != "progress":
                said.append(text.rstrip("\n"))
            elif progress and not raised:
                try:
                    progress(*map(int, rest.split()))
                except BaseException as err:  # the caller's own, raised again where the caller is
                    raised.append(err)
                    run.terminate()

    ear = threading.Thread(target=listen, daemon=True)
    ear.start()
    try:
        out = run.stdout.read() if run.stdout else ""
        run.wait()
        ear.join()
    except BaseException:  # Ctrl-C among them: the command leaves nothing behind
        run.terminate()
        run.wait()
        raise
    finally:
        if run.stdout:
            run.stdout.close()
    if raised:
        raise raised[0]
    if run.returncode not in (0, 1):
        errors = [text[len("repfuse: "):] for text in said if text.startswith("repfuse: ")]
        hints = [text[len("hint: "):] for text in said if text.startswith("hint: ")]
        raise Error("\n".join(errors or said) or "the command ended with %d" % run.returncode, "\n".join(hints))
    found = json.loads(out, object_pairs_hook=Result)
    for note in [*found.get("notes", []), *found.get("plan", {}).get("notes", [])]:
        warnings.warn(note if isinstance(note, str) else note.text, Note, stacklevel=3)
    return found, run.returncode


def _main() -> int:
    """The command itself, as `repfuse` and `python -m repfuse` start it."""
    line = [command(), *sys.argv[1:]]
    if os.name != "nt":
        os.execv(line[0], line)
    return subprocess.run(line).returncode
