"""Conditions: the expressions of a route's `when` and of named `lets`, checked at load and evaluated in microseconds.

Imports `core` only; `compile.py` alone knows the CEL runtime. Read `compile.py` first, then `variables.py`.
A source goes through `tokens` → `expand` (resolve names, insert lets) → CEL's type checker → `Condition`.
"""
