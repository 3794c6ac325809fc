"""Whatever the description of the endpoints allows or forbids can be sent: never a 500.

schemathesis makes the requests, of its own accord and by Hypothesis: FUZZ_EXAMPLES of each
kind for each endpoint, few by default (`make fuzz-api`: many).
"""

import contextlib
import os

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

from realm_tf.server.process import Address, running
from realm_tf.server.server_settings import Batching, Limits
from realm_tf.server.source import FolderSource
from tests.processes import LONG
from tests.server.conftest import listening

schemathesis = pytest.importorskip("schemathesis")

pytestmark = pytest.mark.slow

_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "6"))


@pytest.fixture(name="address", scope="module")
def _address(exported):
  with (running(FolderSource(exported), "DIR", Address(poll_seconds=3600), Batching(),
                Limits()) as app, listening(app) as port):
    yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_no_request_is_a_500(address, mode):
  api = schemathesis.openapi.from_url(f"{address}/openapi.json")
  operations = [operation.ok() for operation in api.get_all_operations()]
  assert {operation.path for operation in operations} >= {"/answer", "/search"}
  statuses: dict[str, set[int]] = {}
  for operation in operations:
    # Of some there is nothing that could be wrong.
    with contextlib.suppress(Unsatisfiable):
      _send(operation.as_strategy(generation_mode=mode),
            statuses.setdefault(operation.path, set()))
  for path in ("/answer", "/search"):
    assert statuses[path] <= {200, 400, 405, 406, 413, 415}, statuses
    assert 200 in statuses[path] or mode is schemathesis.GenerationMode.NEGATIVE


def _send(cases, statuses):
  session = requests.Session()

  @settings(max_examples=_EXAMPLES, deadline=None, database=None, derandomize=_EXAMPLES < 100,
            suppress_health_check=list(HealthCheck))
  @given(case=cases)
  def send(case):
    response = case.call(session=session, timeout=LONG)
    statuses.add(response.status_code)
    case.validate_response(response, checks=[
        schemathesis.checks.not_a_server_error])
    assert response.status_code < 500
    if response.status_code != 200:
      assert set(response.json()) == {"error"}, response.text

  send()
