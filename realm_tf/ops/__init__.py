"""Our compiled ops, a file for each family: wrappers, gradients and twins of stock ops.

`portable()` is the switch for all of them. The C++ is in `ops/` beside the package.
"""

from realm_tf.ops.library import portable

__all__ = ["portable"]
