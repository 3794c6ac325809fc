"""Each setting has its place: parts that are made of it, or none."""

from realm_tf import config as config_lib
from realm_tf.config import owners
from realm_tf.config.owners import PARTS, STAGES, differences, implied, parts_of, used
from realm_tf.run import folder


def _with(**changes):
  tree = config_lib.to_dict(config_lib.RealmConfig())
  for path, value in changes.items():
    config_lib.set_field(tree, path.replace("__", "."), value)
  return tree


def test_each_setting_is_of_some_part_or_free():
  for field in config_lib.SETTINGS:
    assert set(parts_of(field)) <= set(PARTS), field
  # And nothing is declared that is not there.
  for owner in owners._OWNERS:  # pylint: disable=protected-access
    assert any(field == owner or field.startswith(f"{owner}.")
               for field in config_lib.SETTINGS), owner
  assert folder.STAGES == STAGES


def test_a_stage_is_made_of_those_before_it():
  config = _with(ict__steps=5, pretrain__steps=0, dpr__steps=0)
  settings = used(config, "finetune")
  assert settings["ict.removal_rate"] == 0.9 and settings["pretrain.steps"] == 0
  assert "pretrain.masker" not in settings and settings["finetune.beam_size"] == 5000
  assert differences(config, "finetune", settings) == []
  # A stage before it that is not left out any more, and none after it.
  assert differences(_with(ict__steps=5, pretrain__steps=0, dpr__steps=3),
                     "finetune", settings)[0] == "dpr.steps"
  assert differences(_with(ict__steps=5, pretrain__steps=0, cloze__steps=0,
                           finetune__steps=3), "dpr", used(config, "dpr")) == []


def test_other_questions_to_measure_by_do_not_touch_what_was_trained():
  named, other, none = (_with(evaluate__questions=path) for path in ("a", "b", ""))
  assert differences(other, "finetune", used(named, "finetune")) == []
  assert differences(other, "evaluate", used(named, "evaluate")) == ["evaluate.questions"]
  assert differences(none, "finetune", used(named, "finetune")) == ["evaluate.questions"]


def test_what_was_no_setting_then_is_as_by_default():
  config = _with(seed=3)
  recorded = used(config, "ict")
  del recorded["ict.span_removal_rate"]
  assert differences(config, "ict", recorded) == []
  assert differences(_with(seed=3, ict__span_removal_rate=0.1), "ict", recorded) == [
      "ict.span_removal_rate"]


def test_a_half_done_stage_goes_on_with_another_schedule_alone():
  recorded = used(_with(), "finetune")
  assert differences(_with(finetune__steps=9, finetune__learning_rate=0.1, finetune__soup=3),
                     "finetune", recorded, half_done=True) == []
  assert differences(_with(finetune__batch_size=9, ict__learning_rate=0.1), "finetune",
                     recorded, half_done=True) == ["finetune.batch_size", "ict.learning_rate"]


def test_what_is_made_of_a_part_is_made_again_with_it():
  assert implied({"dpr"}) == {"dpr", "cloze", "finetune", "evaluate", "export"}
  assert implied({"corpus"}) == set(PARTS) - {"index"}
  assert implied({"index"}) == {"index", "evaluate", "export"}
  assert implied({"evaluate"}) == {"evaluate"}
