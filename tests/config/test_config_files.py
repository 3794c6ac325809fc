"""Config files: JSON and Python, whole and damaged; each error is a line that says where."""

import json
import textwrap

import pytest

from realm_tf import config as config_lib
from realm_tf.config import RealmConfig, RefreshConfig
from realm_tf.errors import UserError


def _file(tmp_path, name, text):
  path = tmp_path / name
  path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
  return path


def _error(path) -> str:
  with pytest.raises(UserError) as error:
    config_lib.read(path)
  message = str(error.value)
  assert message.startswith(str(path)) and len(message) < 700, message
  return message.removeprefix(str(path))


_WHOLE = json.dumps(config_lib.to_dict(RealmConfig(seed=5)))


@pytest.mark.parametrize("name", ["config.json", "copy", "config.txt"])
@pytest.mark.parametrize("begin", ["", " \n", "\ufeff"])
def test_json_is_read_whatever_its_name(tmp_path, name, begin):
  assert config_lib.read(_file(tmp_path, name, begin + _WHOLE)) == RealmConfig(seed=5)


@pytest.mark.parametrize("text, message", [
    ("[]", ": expected a JSON object"), ("null", ": expected a JSON object"),
    ("[" * 100_000, ": nested too deeply"), ("", ":1: not valid JSON"),
    ('{"seed": 5,\n}', ":2: not valid JSON"), (_WHOLE[:-9], ":1: not valid JSON"),
    (b'{"name": "\xff"}', ": not UTF-8 (byte 10)"), (b"\xff\xfe{\0}\0", ": not UTF-8"),
    ('{"ict": {"learning_rate": NaN}}',
     ": config.ict.learning_rate: expected a number from 1e-12 to 10, got nan"),
    ('{"ict": {"learning_rate": 1e400}}', ": config.ict.learning_rate: expected"),
    ('{"ict": {"steps": -Infinity}}', ": config.ict.steps: expected a whole number"),
    ('{"ict": {"steps": %s}}' % ("9" * 9999), ": config.ict.steps: expected a whole number"),
    ('{"ict": {"steps": 1, "steps": 2}}', ": field 'steps' is given twice, as 1 and 2"),
    ('{"ict": {}, "ict": {}}', ": field 'ict' is given twice"),
    ('{"demo_questions": "who"}', ": config.demo_questions: expected text in quotes and"),
    ('{"deterministic": 1}', ": config.deterministic: expected true or false, got 1"),
    ('{"seed": true}', ": config.seed: expected a whole number"),
    ('{"ict": {"stepz": {"a": 1}}}', ": config.ict.stepz: no such field; the nearest is")])
def test_damaged_json_names_line_or_field(tmp_path, text, message):
  assert _error(_file(tmp_path, "config.json", text)).startswith(message)


@pytest.mark.parametrize("returned", [
    "RealmConfig(seed=5)", "as_config_dict(RealmConfig(seed=5))", "{'seed': 5}",
    "ml_collections.FrozenConfigDict({'seed': 5})", "to_dict(RealmConfig(seed=5))"])
def test_what_get_config_may_return(tmp_path, returned):
  path = _file(tmp_path, "config.py", f"""\
      import ml_collections
      from realm_tf.config import *
      def get_config():
        return {returned}
      """)
  assert config_lib.read(path) == RealmConfig(seed=5)
  assert [file.name for file in tmp_path.iterdir()] == ["config.py"]  # and no __pycache__


def test_get_config_may_take_what_stands_behind_a_colon(tmp_path):
  path = _file(tmp_path, "config.py", "def get_config(seed):\n  return {'seed': int(seed)}\n")
  assert config_lib.read(f"{path}:7").seed == 7
  assert ": TypeError: get_config() missing" in _error(path)


@pytest.mark.parametrize("text, message", [
    ("def get_config(:\n", ":1: SyntaxError: "), ("x = 1\n  y = 2\n", ":2: Indentation"),
    ("import nothing_of_that_name\n", ":1: ModuleNotFoundError: "),
    ("def get_config():\n  return false\n", ":2: NameError: name 'false' is not"),
    ("def get_config():\n\n  raise SystemExit(0)\n", ":3: SystemExit: 0"),
    ("class Odd(BaseException): pass\nraise Odd('a\\nb')\n", ":2: "),
    ("def get_config():\n  return get_config()\n", ":2: RecursionError: "),
    ("class Odd(Exception):\n  def __str__(self): raise self\nraise Odd\n", ":3: "),
    ("exec('1 +')\n", ":1: SyntaxError: "), ("x = '\0'\n", ": "), (b"x='\xff'\n", ":1: Syn"),
    ("", ": no function get_config()"), ("get_config = 5\n", ": no function get_config()"),
    ("def get_config(): pass\n", ": get_config() returned None; expected"),
    ("def get_config(): return [1]\n", ": get_config() returned [1]; expected"),
    ("def get_config(): return get_config\n", ": get_config() returned <function"),
    ("def get_config():\n  from ml_collections import config_dict\n"
     "  return config_dict.ConfigDict({'seed': config_dict.required_placeholder(int)})\n",
     ": ml_collections.config_dict.config_dict.RequiredValueError: None value"),
    ("def get_config():\n  from ml_collections import config_dict\n"
     "  return config_dict.ConfigDict({'seed': config_dict.placeholder(int)})\n",
     ": config.seed: expected a whole number from 0 to 2,147,483,646, got None"),
    ("def get_config():\n  a = {}\n  a['ict'] = a\n  return a\n", ": config.ict.ict: no"),
    ("from realm_tf.config import *\ndef get_config():\n  return RealmConfig(seed=-1)\n",
     ":3: RealmConfig.seed: expected a whole number from 0"),
    ("from realm_tf.config import *\ndef get_config():\n  return RealmConfig(sede=1)\n",
     ":3: TypeError: RealmConfig.__init__() got an unexpected keyword argument 'sede'"),
    ("from realm_tf.config import *\ndef get_config():\n  c = as_config_dict(RealmConfig())\n"
     "  c.ict.steps = 'many'\n  return c\n",
     ": config.ict.steps: expected a whole number from 0 to 1,000,000,000, got 'many'"),
    ("from realm_tf.config import *\ndef get_config():\n  c = as_config_dict(RealmConfig())\n"
     "  c.ict = 5\n  return c\n", ": config.ict: expected fields by name, got 5"),
    ("from realm_tf.config import *\ndef get_config():\n  c = as_config_dict(RealmConfig())\n"
     "  c.ict.stepz = 5\n  return c\n", ": config.ict.stepz: no such field; the nearest")])
def test_python_that_fails_names_its_line(tmp_path, text, message):
  assert _error(_file(tmp_path, "config.py", text)).startswith(message)


def test_ctrl_c_is_not_an_error_of_the_file(tmp_path):
  with pytest.raises(KeyboardInterrupt):
    config_lib.read(_file(tmp_path, "config.py", "raise KeyboardInterrupt"))


def test_what_is_no_file(tmp_path):
  assert _error(tmp_path / "no.py") == ": no such file"
  assert _error(tmp_path) == ": Is a directory"


def test_changes_come_before_the_checks(tmp_path):
  path = _file(tmp_path, "config.json", '{"pretrain": {"refresh_every": 2000}}')
  assert "max_staleness: expected at least refresh.every, 2000" in _error(path)
  config = config_lib.read(path, {"refresh.max_staleness": 3000})
  assert config.refresh == RefreshConfig(every=2000, max_staleness=3000)
  with pytest.raises(UserError, match="b.json: config.ict: expected fields, got 5"):
    config_lib.read(_file(tmp_path, "b.json", '{"ict": 5}'), {"ict.steps": 3})


def test_paths_in_the_data_folder_follow_it(tmp_path, monkeypatch):
  file = _file(tmp_path, "config.py", (
      "from realm_tf.config import *\ndef get_config():\n  return as_config_dict("
      "RealmConfig(corpus=CorpusConfig(source='{data}/corpus.jsonl')))\n"))
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  assert config_lib.read(file).corpus.source == f"{tmp_path}/cache/realm_tf/corpus.jsonl"
  for data in ("there", f"{tmp_path}/there"):
    config = config_lib.read(file, {"data": data})
    assert config.corpus.source == f"{tmp_path}/there/corpus.jsonl"
