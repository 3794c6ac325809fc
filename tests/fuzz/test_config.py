"""Whatever a config file or a flag holds: a config, or one line that says what is wrong."""

import json
import math
import pathlib
import tempfile

from absl import flags
from hypothesis import example, given
from hypothesis import strategies as st

from realm_tf import config as config_lib
from realm_tf.cli import config_flags
from realm_tf.config import SETTINGS, RealmConfig
from realm_tf.errors import UserError

_PATHS = sorted(SETTINGS)
_SECTIONS = sorted({path.partition(".")[0] for path in _PATHS})
_NAMES = sorted({path.rpartition(".")[2] for path in _PATHS})

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
    | st.sampled_from([10**400, -0.0, 2**63, "job", "float32", "\ud800", "1e-4", (1, 5)]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner,
                                                                max_size=4), max_leaves=8)
# Mostly fields that are there, with values that are not meant for them.
_trees = st.dictionaries(
    st.sampled_from(_SECTIONS) | st.sampled_from(_NAMES) | st.text(max_size=9),
    st.dictionaries(st.sampled_from(_NAMES) | st.text(max_size=9), _values, max_size=5)
    | _values, max_size=5)
_fitting = st.dictionaries(st.sampled_from(_PATHS), st.integers(-1, 600)
                           | st.floats(0, 2) | st.booleans() | st.sampled_from(
                               ["job", "mean", "warn", "bfloat16", "", [1, 5], ["a"]]))


def _checked(make):
  """What `make` makes is a sound config; or it is refused with a reason, and nothing else."""
  try:
    config = make()
  except UserError as error:
    assert 9 < len(str(error)) < 1200
    return
  assert isinstance(config, RealmConfig)
  text = json.dumps(config_lib.to_dict(config), allow_nan=False)
  assert config_lib.from_dict(json.loads(text)) == config
  for path, value in config_lib.flatten(config_lib.to_dict(config)).items():
    setting = SETTINGS[path]
    for item in value if isinstance(value, tuple) else (value,):
      assert type(item) is setting.item, path
      if setting.item in (int, float):
        assert math.isfinite(item), path
        assert setting.allowed.least <= item <= setting.allowed.most, path


@given(_trees)
@example({"ict": {"learning_rate": math.nan}})
@example({"pretrain": {"refresh": "job"}, "refresh": 5})
def test_nested_values(tree):
  _checked(lambda: config_lib.from_dict(tree))


@given(_fitting)
def test_values_that_nearly_fit(fields):
  tree = {}
  for path, value in fields.items():
    config_lib.set_field(tree, path, value)
  _checked(lambda: config_lib.from_dict(tree))


def _read(name, data, argument=""):
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / name
    path.write_bytes(data)
    _checked(lambda: config_lib.read(f"{path}{argument}"))
    assert [entry.name for entry in path.parent.iterdir()] == [name]


@given(_trees, st.sampled_from(["config.json", "config"]))
def test_json_files(tree, name):
  _read(name, json.dumps(tree, default=str).encode())


@given(st.binary(max_size=40) | st.text(max_size=40).map(
    lambda text: text.encode("utf-8", "surrogatepass")))
@example(b"[" * 100_000)
@example(b'{"seed": ' + b"9" * 10_000 + b"}")
@example(b'{"seed": 1, "seed": 1}')
@example(b"\xef\xbb\xbf{}")
def test_damaged_json_files(data):
  _read("config.json", data)


_expressions = st.sampled_from([
    "None", "...", "1 / 0", "object()", "open", "lambda: 0", "10**5000", "b'\\xff'",
    "float('nan')", "[].pop()", "print", "__import__('nothing')", "exit()", "(yield)",
    "type('T', (), {'to_dict': lambda self: 5})()", "type('T', (dict,), {})()",
    "type('T', (), {'__repr__': lambda self: 1 / 0})()", "as_config_dict(RealmConfig())",
    "RealmConfig(seed=-1)", "ConfigDict({'seed': 1.5})", "RealmConfig()", "{1: 2}",
    "{'ict': RealmConfig()}", "{'seed': 10**5000}", "{'name': '\\ud800'}"]
    ) | _values.map(repr)
_statements = st.sampled_from([
    "pass", "def", "  x = 1", "raise", "raise SystemExit", "raise BaseException('a\\nb')",
    "assert False", "\0", "\ud800", "import realm_tf.nothing", "x = " + "(" * 300,
    "class E(Exception): __str__ = None", "raise SyntaxError", "raise UserError('a\\nb')",
    "raise ExceptionGroup('a', [ValueError()])", "del __file__", "__name__ = 5",
    "# -*- coding: nothing -*-", "get_config = 5"])


@given(st.lists(_statements, max_size=2), _expressions, st.sampled_from(["", ":", ":word"]),
       st.sampled_from(["", "word", "*words", "a, b"]))
def test_python_files(statements, expression, argument, parameters):
  source = "\n".join([
      *statements, "from ml_collections import ConfigDict",
      "from realm_tf.config import RealmConfig, as_config_dict",
      "from realm_tf.errors import UserError",
      f"def get_config({parameters}):", f"  return {expression}", ""])
  _read("config.py", source.encode("utf-8", "surrogatepass"), argument)


_texts = (st.text(max_size=30) | st.sampled_from(
    ["", "(", "(1, 5)", "[1,2]", "1,5", "('a',)", "nan", "1e400", "1_0", "True", "None", "{}",
     "'\\", "9" * 5000, "(" * 5000, "-" * 5000 + "1", "1" + "+1" * 5000, "\udcff"])
          | st.integers().map(str) | st.floats().map(str))
_words = st.sampled_from([
    *_PATHS, *config_lib.RENAMED, *_SECTIONS, "x" * 5000]) | st.text(max_size=12)


@given(st.lists(st.tuples(_words, _texts, st.sampled_from(["--", "-", "--no", "---"]),
                          st.booleans()), max_size=4))
def test_flags(given_flags):
  words = []
  for path, text, dashes, equals in given_flags:
    name = f"{dashes}config.{path}"
    words += [f"{name}={text}"] if equals else [name, text]
  with tempfile.TemporaryDirectory() as folder:
    (pathlib.Path(folder) / "config.json").write_text("{}")
    flags_before = set(flags.FLAGS)
    try:
      config_flags.define_config_flags()
      _checked(lambda: (config_flags.parse("run", words), config_flags.config(folder))[1])
    finally:
      for name in set(flags.FLAGS) - flags_before:
        delattr(flags.FLAGS, name)


