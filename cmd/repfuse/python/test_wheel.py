"""Installs a wheel of this machine without a network, and runs docs/python.md and more with it."""
import glob
import os
import re
import subprocess
import sys
import tempfile
import unittest
import zipfile

from test_page import NET

WHEELS = os.environ.get("REPFUSE_WHEELS")
PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../docs/python.md")

CALLS = """
import os, warnings
import net, repfuse, torch

model = net.build()

# A state dict, without facts: what has to be assumed is a warning, and strict makes it an error.
conv = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, bias=False), torch.nn.BatchNorm2d(8)).eval()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    state = repfuse.fuse(conv.state_dict(), fold_bn=True)
assert any(w.category is repfuse.Note and "1e-05 is assumed" in str(w.message) for w in caught), caught
assert sorted(state) == ["0.bias", "0.weight"], sorted(state)
try:
    repfuse.fuse(conv.state_dict(), fold_bn=True, strict=True)
except repfuse.Error as err:
    assert err.hint, err
else:
    raise AssertionError("strict assumed something")

# A model to a file, and a file to a file; a list is a flag several times.
repfuse.fuse(model, "a.safetensors", x=(1, 3, 16, 16))
repfuse.export(model, "w", (1, 3, 16, 16))
done = repfuse.fuse("w", "b.safetensors", drop=[], dtype="float32", force=True)
assert open("a.safetensors", "rb").read() == open("b.safetensors", "rb").read()
assert done.bytes == done["bytes"] > 0

# Progress is the caller's, in the caller's thread or not; what it raises stops the work.
told = []
repfuse.fuse("w", "c", progress=lambda *n: told.append(n))
assert told and told[-1][0] == told[-1][1], told
class Enough(Exception): pass
def stop(done, all): raise Enough
try:
    repfuse.fuse("w", "d", progress=stop)
except Enough:
    pass
else:
    raise AssertionError("what progress raised is lost")

# A verdict is false where something differs, and says what.
verdict = repfuse.verify("w", "c")
assert verdict and verdict.passed and verdict.verdict == "exact" and type(verdict) is repfuse.Verdict
name = next(n for n in sorted(os.listdir("c")) if n.endswith(".weight.npy"))
with open("c/" + name, "r+b") as f:
    f.seek(-2, 2)
    byte = f.read(1)
    f.seek(-2, 2)
    f.write(bytes([byte[0] ^ 0x40]))
verdict = repfuse.verify("w", "c")
assert not verdict and verdict.verdict == "different" and verdict.why, verdict

for call, words in (
    (lambda: repfuse.plan("nosuch"), "nosuch"), (lambda: repfuse.plan("w", nosuch=1), "--nosuch"), (lambda: repfuse.inspect("-x"), "-x"),
):
    try:
        call()
    except repfuse.Error as err:
        assert words in err.message and err.message.count(chr(10)) == 0, err
    else:
        raise AssertionError(words)
for wrong in (lambda: repfuse.fuse("w"), lambda: repfuse.fuse("w", "e", x=(1,))):
    try:
        wrong()
    except TypeError:
        pass
    else:
        raise AssertionError("no TypeError")

assert repfuse.graph(model, "graph.json", (1, 3, 16, 16)) == "meta"
assert repfuse.convert("w", "w.npz").tensors == len(repfuse.plan("w").tensors) > 0
"""


@unittest.skipUnless(WHEELS, "REPFUSE_WHEELS names no directory of wheels")
class TestPackage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.TemporaryDirectory()
        (wheel,) = glob.glob(os.path.join(WHEELS, "*.whl"))
        cls.wheel = wheel
        cls.site = os.path.join(cls.root.name, "site")
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-compile", "--target", cls.site, wheel], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.root.cleanup()

    def python(self, at, text, *more):
        env = dict(os.environ, PYTHONPATH=self.site, PATH="/nowhere")
        return subprocess.run([sys.executable, *more, "-c", text], cwd=at, env=env, capture_output=True, text=True)

    def test_page(self):
        with open(PAGE) as f:
            steps = re.findall(r"```python\n(.*?)```", f.read(), re.S)
        self.assertEqual(len(steps), 5)
        with tempfile.TemporaryDirectory() as at:
            with open(os.path.join(at, "net.py"), "w") as f:
                f.write(NET)
            for text in steps:
                run = self.python(at, text, "-W", "error")
                self.assertEqual(run.returncode, 0, text + run.stderr)

    def test_calls(self):
        with tempfile.TemporaryDirectory() as at:
            with open(os.path.join(at, "net.py"), "w") as f:
                f.write(NET)
            run = self.python(at, CALLS)
            self.assertEqual(run.returncode, 0, run.stderr)

    def test_command(self):
        want = subprocess.run([os.path.join(self.site, "repfuse", "bin", "repfuse"), "--version"], capture_output=True, check=True).stdout
        env = dict(os.environ, PYTHONPATH=self.site)
        for line in ([sys.executable, "-m", "repfuse"], [os.path.join(self.site, "bin", "repfuse")]):
            self.assertEqual(subprocess.run([*line, "--version"], cwd=self.root.name, env=env, capture_output=True, check=True).stdout, want)
            self.assertEqual(subprocess.run([*line, "plan", "nosuch"], cwd=self.root.name, env=env, capture_output=True).returncode, 2)

    def test_no_torch(self):
        run = self.python("/", "import sys, repfuse; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)")
        self.assertEqual(run.returncode, 0, run.stderr)

    def test_same_files(self):
        """The exporter's files are those that the command prints."""
        with zipfile.ZipFile(self.wheel) as z:
            for name, flags in (("export", []), ("load", ["--load"]), ("check", ["--check"])):
                said = subprocess.run([os.path.join(self.site, "repfuse", "bin", "repfuse"), "exporter", *flags], capture_output=True, check=True).stdout
                self.assertEqual(z.read("repfuse/exporter/%s.py" % name), said)


if __name__ == "__main__":
    unittest.main()
