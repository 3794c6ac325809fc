from realm_tf.counted import counted


def test_one_is_no_plural():
  assert [counted(number, "block") for number in (0, 1, 2)] == [
      "0 blocks", "1 block", "2 blocks"]
