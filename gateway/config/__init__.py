"""From the text of gateway.yaml to a checked `Spec`, with every error at its line and column.

May import `dsl` and `core`; foreign: yaml (in `nodes.py`), jsonschema (in `judge.py`). Read `spec.py` (what comes out)
first, then `load.py` (the steps, in order).
"""
