import gzip

import pytest

from realm_tf.datasets import trivia
from realm_tf.datasets.questions import Question
from realm_tf.errors import UserError

_LIST = """\
AUTHOR: Somebody
DESCRIPTION: A trivia.
CONFIG: {reveal_answer: false}
"Which agent has this number?:":
- 007
- "007"
- 7
Is water wet, yes or no?:
- Yes
- true
What flag is shown here? https://example.org/a.png:
- Chad
Atlanta _______?:
- Hawks
Which  river runs through Baghdad?:
- Tigris
- " Tigris  River "
Which question has no answer?: []
"""


def _folder(tmp_path, **lists):
  for name, text in lists.items():
    (tmp_path / f"{name}.yaml").write_bytes(
        text if isinstance(text, bytes) else text.encode("utf-8"))
  return tmp_path


def test_only_what_can_be_asked_of_a_text_is_kept(tmp_path):
  folder = _folder(
      tmp_path, general=_LIST, zoo="the RIVER which runs through Baghdad: [Nile]\n"
      "Which river runs, through Baghdad?: [Euphrates]\n", doom=_LIST, slogans=_LIST)
  assert trivia.read_trivia(folder) == [
      Question("general-1", "Which agent has this number?", ("007", "7")),
      Question("general-5", "Which river runs through Baghdad?",
               ("Tigris", "Tigris River")),
      Question("zoo-1", "the RIVER which runs through Baghdad", ("Nile",))]
  assert len(trivia.read_trivia(folder, skip=["zoo"])) == 2


@pytest.mark.parametrize("text, message", [
    (b"What is \xff?: [x]\n", "bad.yaml:1: not UTF-8"),
    (b"What: [x\n", "bad.yaml:2: not valid YAML"),
    (b"What is it?:\n- x\x00\n", r"bad.yaml:2: not valid YAML .*'\\x00'"),
    (b'What is it?: ["\\UFFFFFFFF"]\n', "bad.yaml: not valid YAML .*beyond Unicode"),
    (b'What is it?: ["\\ud800"]\n', "'What is it\\?': an answer holds half a surrogate"),
    (b'"\\ud800": [x]\n', "bad.yaml: question .* holds half a surrogate"),
    (b"What is it?: " + b"[" * 99_999, "bad.yaml: not valid YAML .nested too deep"),
    (b"What is it?: [x, [y]]\n", "'What is it\\?': an answer is list"),
    (b"? [a, b]\n: [x]\n", "bad.yaml:1: not valid YAML"),
    (b"- just\n- a list\n", "bad.yaml: expected a mapping"),
    (b"What is it?: {a: b}\n", "bad.yaml: question 'What is it\\?'"),
    (b"", "bad.yaml: expected a mapping"),
])
def test_bad_list_is_named(tmp_path, text, message):
  with pytest.raises(UserError, match=message):
    trivia.read_trivia(_folder(tmp_path, bad=text))


def test_a_folder_and_a_packed_list_among_the_lists(tmp_path):
  folder = _folder(tmp_path, packed=gzip.compress(_LIST.encode()))
  assert [q.id for q in trivia.read_trivia(folder)] == ["packed-1", "packed-5"]
  (tmp_path / "folder.yaml").mkdir()
  with pytest.raises(UserError, match="folder.yaml: cannot be read"):
    trivia.read_trivia(tmp_path)


def test_yaml_builds_no_objects(tmp_path):
  text = "What is in here?: !!python/object/apply:os.getcwd []\n"
  assert trivia.read_trivia(_folder(tmp_path, bad=text)) == []


def test_empty_folder_is_named(tmp_path):
  with pytest.raises(UserError, match="no trivia lists"):
    trivia.read_trivia(tmp_path)


def _questions(texts):
  return [Question(text, text, ("x",)) for text in texts]


# Each of its own words, so that none is a near-duplicate of another.
_MANY = _questions(f"who{n} built{n} the{n} tower{n}" for n in range(1000))


def test_split_is_a_partition_of_about_the_asked_share():
  train, held_out = trivia.split_trivia(_MANY, 0.2, seed=1)
  assert sorted(q.id for q in train + held_out) == sorted(q.id for q in _MANY)
  assert 150 < len(held_out) < 250
  assert trivia.split_trivia(_MANY, 0.0, seed=1) == (_MANY, [])
  assert trivia.split_trivia(_MANY, 1.0, seed=1) == ([], _MANY)


def test_split_hangs_on_text_and_seed_alone():
  held_out = set(trivia.split_trivia(_MANY, 0.2, seed=1)[1])
  assert set(trivia.split_trivia(_MANY[::-1], 0.2, seed=1)[1]) == held_out
  assert set(trivia.split_trivia(_MANY[:500], 0.2, seed=1)[1]) == held_out & set(_MANY[:500])
  assert set(trivia.split_trivia(_MANY, 0.2, seed=2)[1]) != held_out
  # Pinned: a change of the hash would mix old training with new tests.
  texts = [f"{letter} question" for letter in "abcdefgh"]
  held_out = trivia.split_trivia(_questions(texts), 0.5, seed=0)[1]
  assert [question.id[0] for question in held_out] == list("bcfg")


def test_near_duplicates_fall_on_the_same_side():
  pairs = [(f"who{n} wrote{n} novel{n} adventures{n} huckleberry{n}",
            f"The huckleberry{n} who{n} wrote{n}, novel{n}: adventures{n} finn{n}?")
           for n in range(200)]
  questions = _questions(text for pair in pairs for text in pair)
  held_out = {question.id for question in trivia.split_trivia(questions, 0.5, seed=0)[1]}
  assert 100 < len(held_out) < 300
  for left, right in pairs:
    assert (left in held_out) == (right in held_out)


def test_near_duplicates_equal_a_search_of_all_pairs():
  words = [[f"w{(n * step) % 13}" for step in range(1, 2 + n % 7)] for n in range(60)]
  texts = [" ".join(group) for group in words]
  expected = {
      frozenset((i, j)) for i, a in enumerate(map(set, words))
      for j, b in enumerate(map(set, words))
      if i < j and len(a & b) / len(a | b) >= 0.8}
  pairs = {frozenset(pair) for pair in trivia._near_duplicates(texts)}
  assert expected and pairs == expected


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_bad_share_is_named(share):
  with pytest.raises(UserError, match="held_out"):
    trivia.split_trivia(_MANY[:3], share, seed=0)
