"""Standard streams that whoever started `realm` has closed, as `realm ... <&-` does."""

import subprocess
import sys

import pytest

_REALM = "import sys; from realm_tf.cli import start; start.main()"


@pytest.mark.parametrize("words, closed, code, said", [
    (["--version"], ">&-", 0, ""), (["ask", "--workdir=x"], "<&-", 2, "give a question"),
    (["ask"], "2>&-", 2, ""), (["help"], "<&- >&- 2>&-", 0, "")])
def test_a_closed_stream_leads_nowhere(words, closed, code, said):
  completed = subprocess.run(
      ["sh", "-c", f'"$@" {closed}', "sh", sys.executable, "-c", _REALM, *words],
      stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
  assert completed.returncode == code, completed.stderr
  assert said in completed.stderr and "Traceback" not in completed.stderr


def test_what_is_logged_gets_into_no_file(tmp_path):
  """The next file that is opened would have the number of the closed stream."""
  script = ("import os; from realm_tf.cli import start; start.open_closed_streams(); "
            f"open({str(tmp_path / 'a')!r}, 'w'); os.write(2, b'a warning of a library')")
  subprocess.run(["sh", "-c", '"$@" 2>&-', "sh", sys.executable, "-c", script], check=True)
  assert (tmp_path / "a").read_bytes() == b""
