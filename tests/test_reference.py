"""`make docs`: the public names, from their docstrings, in pages that need no network."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

import realm_tf

_ROOT = pathlib.Path(__file__).parents[1]


@pytest.mark.slow
def test_each_public_name_is_documented_and_nothing_is_fetched(tmp_path):
  finished = subprocess.run([sys.executable, _ROOT / "docs" / "reference.py", tmp_path],
                            env={**os.environ, "PYTHONPATH": str(_ROOT)}, capture_output=True,
                            text=True, check=False)
  assert finished.returncode == 0, finished.stderr
  page = (tmp_path / "realm_tf.html").read_text()
  assert realm_tf.__all__
  for name in realm_tf.__all__:
    section = re.search(rf'<section id="{name}">(.*?)</section>', page, re.DOTALL)
    assert section and 'class="docstring"' in section.group(1), name
  # Links may be followed by a reader; nothing is loaded by the page itself.
  for path in tmp_path.rglob("*.html"):
    text = path.read_text()
    assert not re.search(r'src="(?!data:)|url\(["\']?(?!["\']?data:)|@import', text), path
    assert not re.search(r'<link[^>]+href="https?:', text), path
