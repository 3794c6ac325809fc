"""What an export is asked, and by which of a model's weights it answers.

| signature | inputs | outputs |
|---|---|---|
| `serving_default` | `questions` | the columns of `serving.response` |
| `answer` | `questions`, `top_n`, `read_blocks`, `threshold` | the same |
| `retrieve` | `questions`, `k` | the columns of `evaluation.answering.Passage` |
| `embed` | `questions` | `embedding` [B, D] |
| `embed_documents` | `texts`, `titles` | `embedding` [B, D] |

Of a model whose reader was not trained there is no `answer`, and `serving_default` gives the
columns of `retrieve`. Texts are [B] string, bytes of UTF-8. All but `questions` and `texts`
may be left out, where the caller knows of `SignatureDef.defaults` (TensorFlow Serving by gRPC
does), and have [B] values or one for all, [1]. B may be 0. Shape letters: B questions, D
projection.
"""

from typing import Sequence

import tensorflow as tf

from realm_tf.evaluation.answering import QuestionAnswerer
from realm_tf.serving import variables
from realm_tf.serving.response import respond

_ANSWERS = 5  # to a question that does not say how many
_PASSAGES = 5


class Signatures(tf.Module):
  """Functions of tensors around an answerer; the module that is saved.

  Args:
    answerer: what is asked.
    packed: what it computes by besides its own variables.
    reads: whether the model can; else there is no `answer`.
  """

  def __init__(self, answerer: QuestionAnswerer, packed: Sequence[tf.Module] = (),
               reads: bool = True):
    super().__init__(name="realm_export")
    self.serving_default, self.retrieve = _retrieving(answerer)
    if reads:
      self.serving_default, self.answer = _answering(answerer)
    self.embed, self.embed_documents = _embedding(answerer)
    # Those that are read, and not the models themselves: of these Keras would trace each
    # layer, which nobody calls, and save what no signature reads.
    setattr(self, variables.ATTRIBUTE, _read(self.functions, [answerer, *packed]))

  @property
  def functions(self) -> dict[str, tf.types.experimental.PolymorphicFunction]:
    """By the names of their signatures."""
    return {name: getattr(self, name) for name in (
        "serving_default", "answer", "retrieve", "embed", "embed_documents")
            if hasattr(self, name)}


def _texts(name: str) -> tf.TensorSpec:
  return tf.TensorSpec([None], tf.string, name)


def _answering(answerer: QuestionAnswerer):
  top_n, read_blocks, threshold = map(
      tf.constant, ([_ANSWERS], [answerer.read_blocks], [0.0]))

  @tf.function(input_signature=[
      _texts("questions"), tf.TensorSpec([None], tf.int32, "top_n"),
      tf.TensorSpec([None], tf.int32, "read_blocks"),
      tf.TensorSpec([None], tf.float32, "threshold")])
  def answer(questions, top_n=top_n, read_blocks=read_blocks, threshold=threshold):
    return respond(answerer.answer(questions, top_n, read_blocks=read_blocks), threshold)

  @tf.function(input_signature=[_texts("questions")])
  def serving_default(questions):
    return answer(questions)

  return serving_default, answer


def _retrieving(answerer: QuestionAnswerer):
  default = tf.constant([min(_PASSAGES, answerer.num_blocks)])

  @tf.function(input_signature=[_texts("questions"), tf.TensorSpec([None], tf.int32, "k")])
  def retrieve(questions, k=default):
    return answerer.retrieve(questions, k)._asdict()

  @tf.function(input_signature=[_texts("questions")])
  def serving_default(questions):
    return retrieve(questions)

  return serving_default, retrieve


def _embedding(answerer: QuestionAnswerer):
  untitled = tf.constant([""])

  @tf.function(input_signature=[_texts("questions")])
  def embed(questions):
    return {"embedding": answerer.embed(questions)}

  @tf.function(input_signature=[_texts("texts"), _texts("titles")])
  def embed_documents(texts, titles=untitled):
    titles = tf.broadcast_to(titles, tf.shape(texts))
    return {"embedding": answerer.embed_documents(titles, texts)}

  return embed, embed_documents


def _read(functions, modules: Sequence[tf.Module]) -> list[tf.Variable]:
  """The variables of the modules that the functions read, each once."""
  captured = {id(tensor) for function in functions.values()
              for tensor in function.get_concrete_function().captured_inputs}
  variables = {id(variable.handle): variable
               for module in modules for variable in module.variables}
  return [variable for handle, variable in variables.items() if handle in captured]
