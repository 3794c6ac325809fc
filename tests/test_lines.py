import bz2
import gzip
import io
import lzma
import zipfile

import pytest

from realm_tf.errors import UserError
from realm_tf.lines import read_lines, read_text

# What Python's str.splitlines() and csv take for line ends, within lines.
_LINES = ["a\fb\u2028c\x85d\re\r\n", "\n", "\0\n", "f"]
_BYTES = "".join(_LINES).encode()
_PACK = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def _write(path, content):
  path.write_bytes(content)
  return path


@pytest.mark.parametrize("name", ["a", "a.txt"])
@pytest.mark.parametrize("kind", _PACK)
def test_lines_end_at_line_feeds_alone(tmp_path, kind, name):
  for path in (tmp_path / name, tmp_path / f"{name}{kind}"):  # compressed, whatever its name
    _write(path, _PACK[kind](_BYTES))
    assert list(read_lines(path, "text")) == list(enumerate(_LINES, 1))
    assert read_text(path, "text") == "".join(_LINES)
    _write(path, _PACK[kind](b"\xef\xbb\xbf" + _BYTES))
    assert read_text(path, "text") == "".join(_LINES)
  assert list(read_lines(_write(path, _PACK[kind](b"")), "text")) == []


@pytest.mark.parametrize("kind", _PACK)
def test_lines_of_old_macs_end_at_carriage_returns(tmp_path, kind):
  for content, lines in ((b"\xef\xbb\xbfa\r\rb\fc\rd", ["a\r", "\r", "b\fc\r", "d"]),
                         (b"a\r", ["a\r"]), (b"a\rb\n", ["a\rb\n"])):
    path = _write(tmp_path / f"a{kind}", _PACK[kind](content))
    assert list(read_lines(path, "text")) == list(enumerate(lines, 1))


def test_a_file_of_several_gzip_members_is_read_whole(tmp_path):
  path = _write(tmp_path / "a.gz", gzip.compress(b"1\n2") + gzip.compress(b"3\n"))
  assert list(read_lines(path, "text")) == [(1, "1\n"), (2, "23\n")]


@pytest.mark.parametrize("kind", [".gz", ".bz2", ".xz"])
def test_a_damaged_file_is_named(tmp_path, kind):
  packed = _PACK[kind](_BYTES * 100)
  for content in (packed[:-9], packed[:9], b"no such thing", packed[:20] + b"damage" * 9):
    with pytest.raises(UserError, match=rf"a\{kind}: damaged (gzip|bzip2|xz) file"):
      list(read_lines(_write(tmp_path / f"a{kind}", content), "text"))


def _zip():
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w") as archive:
    archive.writestr("a.txt", "text")
  return file.getvalue()


@pytest.mark.parametrize("content, kind", [
    (_zip(), "a zip archive"), (b"PAR1\x15\x04\x15", "a Parquet file"),
    ("text".encode("utf-16"), "UTF-16"), ("text".encode("utf-16-be"), None),
    (b"a.jsonl".ljust(257, b"\0") + b"ustar\x0000", "a tar archive"),
    (b"\x28\xb5\x2f\xfd\x04", "compressed by zstd"),
    (b"<!DOCTYPE html>\n<html>", "an HTML page"), (b"{\\rtf1\\ansi x}", "an RTF document"),
    (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    (b"PAR1 is an id\n", None), (b"BZh9 too\n", None), (b"PK\n", None)])
def test_another_kind_of_file_is_named(tmp_path, content, kind):
  for path, pack in ((tmp_path / "a", bytes), (tmp_path / "b", gzip.compress)):
    _write(path, pack(content))
    if kind:
      with pytest.raises(UserError, match=f"{path}: looks like .*{kind}.*; expected ids"):
        list(read_lines(path, "ids"))
    else:
      assert read_text(path, "ids").encode() == content


def test_what_cannot_be_read_is_named(tmp_path):
  for path, reason in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
    with pytest.raises(UserError, match=f"{path}: cannot be read .{reason}.*; expected ids"):
      list(read_lines(path, "ids"))
  with pytest.raises(UserError, match="a:2: not UTF-8 .byte 1 of the line.; expected ids"):
    list(read_lines(_write(tmp_path / "a", b"x\ny\xff\n"), "ids"))
