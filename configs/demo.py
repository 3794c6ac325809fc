"""The demo: `realm_tf.recipes.demo`, which an installed package has too (`--config=demo`)."""

from realm_tf.recipes.demo import get_config

__all__ = ["get_config"]
