"""Any body to any endpoint: an answer, or one line that says why not; never a crash."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import toys

_ROOT = "/v1/models/half_plus_three"
_PATHS = (f"{_ROOT}:predict", f"{_ROOT}/versions/123:predict", f"{_ROOT}:classify",
          "/v2/models/half_plus_three/infer", "/answer", "/search")
_NAMES = st.sampled_from([
    "instances", "inputs", "outputs", "signature_name", "x", "tag", "signal", "sensor",
    "texts", "times", "a", "b", "b64", "name", "shape", "datatype", "data", "parameters",
    "id", "question", "questions", "top_n", "threshold", "precision", "passages", "k", ""])
_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 40), st.floats(),
    st.sampled_from([2**31, 2**63, -2**63 - 1, 10**30, 1e39, "FP32", "BYTES", "INT64", "BOOL",
                     "three", "repeat", "odd", "serving_default", "x", "tag", "aGk=",
                     "\ud800"]),
    st.text(max_size=5))
_VALUES = st.recursive(_LEAVES, lambda inner: st.one_of(
    st.lists(inner, max_size=4), st.dictionaries(_NAMES, inner, max_size=4)), max_leaves=20)
_BODIES = st.one_of(
    st.dictionaries(_NAMES, _VALUES, max_size=4).map(json.dumps),
    # Near to what is right.
    st.builds(lambda name, key, values: json.dumps({"signature_name": name, key: values}),
              st.sampled_from(["", "three", "repeat", "odd"]),
              st.sampled_from(["instances", "inputs"]), _VALUES),
    st.builds(lambda tensor: json.dumps({"inputs": [tensor]}), st.fixed_dictionaries(
        {"name": st.just("x"), "datatype": st.just("FP32"),
         "shape": st.lists(st.integers(-1, 2**62), max_size=3), "data": st.lists(_LEAVES)})),
    st.binary(max_size=50),
    st.text(max_size=50).map(lambda text: text.encode("utf-8", "ignore")))


@pytest.fixture(name="client", scope="module")
def _client(tmp_path_factory):
  with toys.client(tmp_path_factory.mktemp("half_plus_three")) as client:
    yield client


@given(st.sampled_from(_PATHS), _BODIES)
def test_any_body(client, path, body):
  response = client.post(path, content=body)
  # The toys do not answer questions: what is right there goes beyond what they can.
  if path not in ("/answer", "/search") or response.status_code != 500:
    assert response.status_code in (200, 400, 404), (response.status_code, response.text)
  if response.status_code != 200:
    assert set(response.json()) == {"error"} and "\n" not in response.json()["error"]


@given(st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "X"]),
       st.lists(st.one_of(st.sampled_from([
           "v1", "V1", "v2", "models", "half_plus_three", "versions", "labels", "123",
           "stable", ":predict", "metadata", "ready", "infer", "health", "..", "%2e%2e",
           "%2f", "%ff", "", "9" * 40, "answer", "docs"]),
           st.text("abz/:%.~é\0 ?#", max_size=6)), max_size=6))
def test_any_path(client, verb, parts):
  response = client.request(verb, "http://localhost/" + "/".join(parts).replace("\0", "%00"))
  assert response.status_code in (200, 400, 404, 405), (response.status_code, response.text)
