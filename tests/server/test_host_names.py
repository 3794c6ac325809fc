"""By which names a server may be called, however they are written."""

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from realm_tf.errors import UserError
from realm_tf.server.guard import Guard
from realm_tf.server.process import Address, own_names


def _status(place, bound, host):
  """Of a request to a server at that place, by a Host header."""
  guard = Guard(PlainTextResponse(""), (), own_names(place, bound), lambda *told: None)
  return TestClient(guard).get("/", headers={"host": host}).status_code


@pytest.mark.parametrize("given, host, status", [
    ("Realm.Example", "realm.example", 200), ("Realm.Example", "REALM.example:99", 200),
    ("realm.example:8080", "realm.example", 200), ("FD00::A", "[fd00::a]:80", 200),
    ("[fd00::a]:80", "[FD00::A]", 200), ("realm.example", "evil.example", 403),
    ("fd00::a", "[fd00::b]", 403), ("fd00::a", "", 403)])
def test_names_are_compared_as_they_are_meant(given, host, status):
  assert _status(Address(allowed_hosts=(given,)), "127.0.0.1", host) == status


@pytest.mark.parametrize("given, bound", [
    ("LOCALHOST", "LOCALHOST"), ("LocalHost", "127.0.0.1"), ("::1", "::1"),
    ("My.Machine", "127.0.1.1")])  # Debian's own name of a machine
def test_loopback_is_guarded_whatever_name_it_is_given_by(given, bound):
  own = f"[{given}]" if ":" in given else given
  for host, status in ((own, 200), (own.lower(), 200), ("localhost", 200),
                       ("evil.example", 403), ("", 403)):
    assert _status(Address(given), bound, host) == status, host


@pytest.mark.parametrize("given, bound", [("", "0.0.0.0"), ("my.machine", "192.0.2.1")])
def test_a_server_on_a_network_has_any_name(given, bound):
  assert _status(Address(given, allowed_hosts=("realm.example",)), bound, "any.name") == 200


@pytest.mark.parametrize("name", ["", "http://realm.example", "*.example", ":80", "a b"])
def test_an_allowed_host_that_is_no_name(name):
  with pytest.raises(UserError, match="--allowed_hosts=.*: expected names of hosts"):
    Address(allowed_hosts=(name,))
