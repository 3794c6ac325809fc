"""The step that is timed: a BERT of 6 layers and 384 units, 4 sentences, 8 candidates."""

SIZES = {"vocabulary": 30522, "hidden": 384, "layers": 6, "heads": 12, "batch": 4,
         "candidates": 8, "query": 64, "document": 128, "masks": 3}
