"""How the rules' salient spans compare with spaCy's, or those of any other two taggers.

    python benchmarks/taggers.py --documents=FILE --output=benchmarks/results/taggers.json

Precision and recall of the first tagger if the second were right: of the same spans from end
to end, and of spans that share a character. Both find dates and figures by the same rules, so
names are compared alone as well.
"""

import argparse
import itertools
import time

from machine import processor, report

import realm_tf  # noqa: F401  (before TensorFlow, which taggers in folders import)
from realm_tf.corpus.readers import read_documents
from realm_tf.text.figures import figures
from realm_tf.text.salient_spans import tagger
from realm_tf.text.sentences import split_sentences
from realm_tf.text.span_scores import span_scores


def _overlap(spans: list, others: list) -> float:
  """The share of spans that have a character in common with one of the others."""
  hits = count = 0
  for own, foreign in zip(spans, others):
    count += len(own)
    hits += sum(any(start < b and a < end for a, b in foreign) for start, end in own)
  return hits / max(1, count)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--documents", required=True)
  parser.add_argument("--count", type=int, default=2000, help="of the first documents")
  parser.add_argument("--taggers", default="rules,spacy")
  parser.add_argument("--output")
  flags = parser.parse_args()
  documents = read_documents(flags.documents)
  texts = [document.text for document in itertools.islice(documents, flags.count)]
  sentences = [split_sentences(text) for text in texts]
  names = flags.taggers.split(",")
  found, seconds = [], {}
  for name in names:
    finds = tagger(name)
    begun = time.monotonic()
    found.append([[tuple(span) for span in spans] for spans in finds(texts, sentences)])
    seconds[name] = round(time.monotonic() - begun, 2)
  by_expression = [{(figure.start, figure.end) for figure in figures(text)} for text in texts]
  of_names = [[[span for span in spans if span not in figure]
               for spans, figure in zip(side, by_expression)] for side in found]
  result = {"documents": len(texts), "characters": sum(map(len, texts)),
            "machine": processor(), "seconds": seconds,
            "measured": names[0], "taken_for_right": names[1]}
  for what, (measured, right) in (("all", found), ("names", of_names)):
    result[what] = {**span_scores(right, measured)._asdict(),
                    "overlapping_precision": _overlap(measured, right),
                    "overlapping_recall": _overlap(right, measured)}
  report(result, flags.output)


if __name__ == "__main__":
  main()
