"""From the text of gateway.yaml to a checked `Spec`, with every error at its line and column.

May import `dsl` and `core`; foreign: yaml (in `compose.py`), jsonschema (in `schema_errors.py`). Read `spec.py` (the result
and the list of sections) first, then `load.py` (the steps, in order) and `section.py` (what a section consists of).
"""
