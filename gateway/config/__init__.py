"""From the text of gateway.yaml to a checked `Spec`, with every error at its line and column.

May import `dsl` and `core`. Read `spec.py` (what comes out) first, then `load.py` (how).
"""
