"""What TensorFlow Serving's documentation (api_rest.md) and its own tests ask and expect.

The models are toys, as theirs are: half_plus_three, and one of three named inputs.
"""

import json

import pytest

from tests import toys

_ROOT = "/v1/models/half_plus_three"


@pytest.fixture(name="client", scope="module")
def _client(tmp_path_factory):
  with toys.client(tmp_path_factory.mktemp("half_plus_three")) as client:
    yield client


def _post(client, body, path=f"{_ROOT}:predict"):
  return client.post(path, content=(
      body if isinstance(body, (bytes, str)) else json.dumps(body)))


def _error(response, code, message):
  assert response.status_code == code and set(response.json()) == {"error"}, response.text
  assert message in response.json()["error"]


@pytest.mark.parametrize("path", [
    f"{_ROOT}:predict", f"{_ROOT}/versions/123:predict", f"{_ROOT}/labels/stable:predict",
    "/V1/Models/half_plus_three:Predict", "/v1/models/half%5Fplus_three:predict"])
def test_the_documented_predictions(client, path):
  response = _post(client, '{"instances": [1.0,2.0,5.0]}', path)
  assert response.status_code == 200
  assert response.headers["content-type"] == "application/json"
  assert response.json() == {"predictions": [3.5, 4.0, 5.5]}
  assert _post(client, '{"inputs": [1.0,2.0,5.0]}', path).json() == {
      "outputs": [3.5, 4.0, 5.5]}
  assert _post(client, '{"signature_name": "", "inputs": [1]}', path).json() == {
      "outputs": [3.5]}


def test_as_curl_sends_it(client):
  # `curl -d` says that it is a form.
  response = client.post(f"{_ROOT}:predict", content='{"instances": [1.0,2.0,5.0]}',
                         headers={"content-type": "application/x-www-form-urlencoded"})
  assert response.json() == {"predictions": [3.5, 4.0, 5.5]}


def test_the_documented_named_inputs(client):
  rows = {"signature_name": "three", "instances": [
      {"tag": "foo", "signal": [1, 2, 3, 4, 5], "sensor": [[1, 2], [3, 4]]},
      {"tag": "bar", "signal": [3, 4, 1, 2, 5], "sensor": [[4, 5], [6, 8]]}]}
  columns = {"signature_name": "three", "inputs": {
      "tag": ["foo", "bar"], "signal": [[1, 2, 3, 4, 5], [3, 4, 1, 2, 5]],
      "sensor": [[[1, 2], [3, 4]], [[4, 5], [6, 8]]]}}
  assert _post(client, rows).json() == {"predictions": [
      {"name": "foo", "raw_bytes": {"b64": "Zm9v"}, "sum": 15, "sensor": [[1, 2], [3, 4]]},
      {"name": "bar", "raw_bytes": {"b64": "YmFy"}, "sum": 15, "sensor": [[4, 5], [6, 8]]}]}
  assert _post(client, columns).json() == {"outputs": {
      "name": ["foo", "bar"], "raw_bytes": [{"b64": "Zm9v"}, {"b64": "YmFy"}],
      "sum": [15, 15], "sensor": [[[1, 2], [3, 4]], [[4, 5], [6, 8]]]}}


def test_the_documented_binary_values(client):
  response = _post(client, {"signature_name": "repeat", "instances": [
      {"b64": "aW1hZ2UgYnl0ZXM="}, "seaside", {"b64": "_"[:0]}]}).json()
  assert response == {"predictions": [["image bytes"] * 2, ["seaside"] * 2, [""] * 2]}
  for text in ("?", "aGk", "a", "é"):
    response = _post(client, {"signature_name": "repeat", "instances": [{"b64": text}]})
    assert (response.status_code, text) in ((200, "aGk"), (400, "?"), (400, "a"), (400, "é"))


def test_numbers_keep_their_digits(client):
  body = '{"inputs": [0.2, 1e-7, -3, NaN, Infinity, -Infinity, 16777215]}'
  answered = _post(client, body.replace("{", '{"signature_name": "odd", ', 1).replace(
      "[", '{"b": true, "a": [').replace("]", "]}")).text
  assert answered == ('{"outputs": {"a": [0.2, 1e-07, -3.0, NaN, Infinity, -Infinity, '
                      '16777215.0], "b": true}}')


def test_a_default_may_be_left_out(client):
  left_out = {"signature_name": "repeat", "inputs": {"texts": ["a"]}}
  assert _post(client, left_out).json() == {"outputs": [["a", "a"]]}
  with_value = {"signature_name": "repeat", "inputs": {"texts": ["a"], "times": 3}}
  assert _post(client, with_value).json() == {"outputs": [["a", "a", "a"]]}


def test_the_documented_status(client):
  expected = {"model_version_status": [{
      "version": "123", "state": "AVAILABLE",
      "status": {"error_code": "OK", "error_message": ""}}]}
  for which in ("", "/versions/123", "/labels/stable"):
    assert client.get(_ROOT + which).json() == expected
  _error(client.get(_ROOT + "/versions/7"), 404,
         "Could not find version 7 of model half_plus_three")
  _error(client.get("/v1/models/half"), 404, "Could not find any versions of model half")
  _error(client.get("/v1/models"), 400, "Missing model name in request.")


def test_the_metadata(client):
  for which in ("", "/versions/123", "/labels/stable"):
    metadata = client.get(f"{_ROOT}{which}/metadata").json()
    assert metadata["model_spec"] == {"name": "half_plus_three", "signature_name": "",
                                      "version": "123"}
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    assert signatures["serving_default"]["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert signatures["serving_default"]["inputs"]["x"]["tensor_shape"] == {
        "dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    assert signatures["serving_default"]["method_name"] == "tensorflow/serving/predict"
  _error(client.get("/v1/models/half/metadata"), 404,
         "Servable not found for request: Latest(half)")


@pytest.mark.parametrize("path, code, message", [
    ("/v1/models/half:predict", 404, "Servable not found for request: Latest(half)"),
    (f"{_ROOT}/versions/7:predict", 404, "Specific(half_plus_three, 7)"),
    (f"{_ROOT}/labels/nope:predict", 400, "Unrecognized servable version label: nope"),
    (f"{_ROOT}/versions/99999999999999999999:predict", 400, "Failed to convert version: "),
    (f"{_ROOT}:regress", 400, "no signature for regress"), (_ROOT, 400, "Malformed request"),
    ("/v1/models/half:classify", 404, "Servable not found"),
    *((path, 400, f"Malformed request: POST {path}") for path in (
        "/v1/foo", "/v1/", f"{_ROOT}:frobnicate", f"{_ROOT}/versions/one:predict",
        f"{_ROOT}/versions/1/labels/stable:predict", f"{_ROOT}:predict/",
        "/v1/models/:predict", f"{_ROOT}:predict:predict", "/v1/models/a/b:predict",
        "/v1/..%2f..%2fetc%2fpasswd"))])
def test_wrong_paths(client, path, code, message):
  _error(_post(client, '{"instances": [1.0,5.0]}', path), code, message)


@pytest.mark.parametrize("verb", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_wrong_verbs(client, verb):
  _error(client.request(verb, f"{_ROOT}:predict"), 400,
         f"Malformed request: {verb} {_ROOT}:predict")


def test_nothing_is_outside_of_it(client):
  for path in ("/v1", "/v3/models", "/models", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd"):
    assert client.get(path).status_code == 404, path


@pytest.mark.parametrize("body, message", [
    ("", "JSON Parse error: The document is empty"), ("{", "JSON Parse error"),
    ("[1]", "Is not object"), ({}, "Missing 'inputs' or 'instances' key"),
    ({"instances": [1], "inputs": [1]}, "expecting only one of 'inputs' or 'instances'"),
    ({"instances": 1}, "Excepting 'instances' to be an list/array"),
    ({"instances": []}, "No values in 'instances' array"),
    ({"instances": [1], "signature_name": 100}, "key must be a string value"),
    ({"instances": [1], "signature_name": "no"}, '"no" not found in signature def'),
    ({"instances": ["x"]}, 'JSON Value: "x" Type: String is not of expected type: float32'),
    ({"instances": [True]}, "Type: True is not of expected type"),
    ({"instances": [None]}, "Type: Null is not of expected type"),
    ({"instances": [{"b64": "aGk="}]}, "Type: Object is not of expected type"),
    ({"instances": [1, [2]]}, "Expecting shape [] but got: [1]"),
    ({"instances": [[1], [2]]}, "Input x must be of shape [-1], but is of [2, 1]"),
    ({"instances": [1, {"x": 2}]}, "Expecting value/list but got object at item 1"),
    ({"instances": [{"x": 2}, 1]}, "Expecting object but got list at item 1"),
    ({"instances": [{"z": 2}]}, "keys must be equal to: x"),
    ({"inputs": {"z": 2}}, "Missing named input: x in 'inputs' object."),
    ({"inputs": [[1], [2, 3]]}, "Encountered list at unexpected size: 2 at level: 1"),
    ({"inputs": [1, [2]]}, "Encountered list at unexpected level: 1 expected < 1"),
    ({"inputs": [[1], 2]}, "found at incorrect level: 2 in the JSON DOM"),
    ({"inputs": [16777217]}, "to float32 without loss of precision"),
    ('{"inputs": [1e39]}', "without loss of precision"),
    ({"inputs": [1] * 9}, "9 questions; a request may have 8"),
    ({"signature_name": "three", "instances": ["foo"]}, "list of objects as multiple"),
    ({"signature_name": "three", "inputs": ["foo"]}, "expecting an object as multiple"),
    ({"signature_name": "three", "instances": [{"tag": "x"}]},
     "keys must be equal to: sensor,signal,tag"),
    ({"signature_name": "three", "inputs": {"tag": ["x"], "signal": [[1.5] * 5],
                                            "sensor": [[[1, 2], [3, 4]]]}},
     "1.5 Type: Number is not of expected type: int64"),
    ({"signature_name": "three", "inputs": {"tag": ["x"], "signal": [[1] * 5],
                                            "sensor": [[[1, 2], [3, 2**31]]]}},
     "is not of expected type: int32"),
    ({"signature_name": "repeat", "instances": ["\ud800"]}, "half a surrogate pair"),
    ({"signature_name": "repeat", "instances": ["x" * 10_001]}, "has 10001 bytes"),
    ({"signature_name": "odd", "instances": [{"a": 1, "b": True}]}, "b must be of shape"),
    ('{"signature_name": "odd", "inputs": {"b": true, "a": ' + "[" * 40 + "]" * 40 + "}}",
     "nested more than 32 deep"),
    (b'{"instances": ' + b"[" * 100_000, "JSON Parse error")])
def test_wrong_bodies(client, body, message):
  _error(_post(client, body), 400, message)


def test_outputs_without_rows_cannot_be_predictions(client):
  response = _post(client, {"signature_name": "odd", "inputs": {"a": [1], "b": True}})
  assert response.json() == {"outputs": {"a": [1.0], "b": True}}


def test_the_metrics(client):
  _post(client, {"instances": [1]})
  page = client.get("/monitoring/prometheus/metrics")
  assert page.headers["content-type"].startswith("text/plain")
  assert 'realm_request_seconds_count{endpoint="v1",status="200"}' in page.text
  assert "realm_batch_rows_sum" in page.text


def test_kserve(client):
  root = "/v2/models/half_plus_three"
  assert client.get("/v2").json()["name"] == "realm_tf"
  assert client.get("/v2/health/live").json() == {"live": True}
  assert client.get("/v2/health/ready").json() == {"ready": True}
  for model in (root, f"{root}/versions/123"):
    metadata = client.get(model).json()
    assert metadata["versions"] == ["123"] and metadata["inputs"] == [
        {"name": "x", "datatype": "FP32", "shape": [-1]}]
    assert client.get(f"{model}/ready").json()["ready"]
    response = client.post(f"{model}/infer", json={"id": "7", "inputs": [
        {"name": "x", "datatype": "FP32", "shape": [3], "data": [1, 2, 5]}]}).json()
    assert response == {"id": "7", "model_name": "half_plus_three", "model_version": "123",
                        "outputs": [{"name": "y", "datatype": "FP32", "shape": [3],
                                     "data": [3.5, 4.0, 5.5]}]}
  response = client.post(f"{root}/infer", json={
      "parameters": {"signature_name": "three"}, "outputs": [{"name": "sum"}], "inputs": [
          {"name": "tag", "datatype": "BYTES", "shape": [1], "data": ["x"]},
          {"name": "signal", "datatype": "INT64", "shape": [1, 5], "data": [[1, 2, 3, 4, 5]]},
          {"name": "sensor", "datatype": "INT32", "shape": [1, 2, 2], "data": [1, 2, 3, 4]}]})
  assert response.json()["outputs"] == [
      {"name": "sum", "datatype": "INT64", "shape": [1], "data": [15]}]


@pytest.mark.parametrize("change, message", [
    ({"name": "z"}, "expected each name once, of x"), ({"datatype": "FP64"}, "datatype FP32"),
    ({"shape": [2]}, "3 values; its shape says 2"), ({"shape": [-3]}, "'shape'"),
    ({"shape": [10**30]}, "its shape says 1000"), ({"data": "abc"}, "'data', a list"),
    ({"data": ["a", "b", "c"]}, "is not of expected type"), ({"shape": None}, "'shape'"),
    ({"shape": [0, 10**30], "data": []}, "no tensor has that shape"),
    ({"shape": [3] + [1] * 90}, "no tensor has that shape"),
    ({"shape": [3, 1]}, "must be of shape [-1], but is of [3, 1]")])
def test_wrong_inferences(client, change, message):
  tensor = {"name": "x", "datatype": "FP32", "shape": [3], "data": [1, 2, 5]} | change
  response = client.post("/v2/models/half_plus_three/infer", json={"inputs": [tensor]})
  _error(response, 400, message)


@pytest.mark.parametrize("verb, path, code", [
    ("POST", "/v2/models/no/infer", 404), ("GET", "/v2/models/no", 404),
    ("GET", "/v2/models/half_plus_three/versions/7/ready", 404),
    ("GET", "/v2/models/half_plus_three/versions/x", 404), ("POST", "/v2/health/live", 405),
    ("GET", "/v2/models/half_plus_three/infer", 405), ("GET", "/v2/nothing", 404),
    ("GET", "/answer", 405), ("PUT", "/answer", 405), ("DELETE", "/", 405)])
def test_wrong_paths_and_verbs_of_others(client, verb, path, code):
  body = {"json": {"inputs": []}} if verb == "POST" else {}
  _error(client.request(verb, path, **body), code, "")
