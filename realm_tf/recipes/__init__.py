"""Configs that come with the package: `--config=demo` is `recipes/demo.py`."""
