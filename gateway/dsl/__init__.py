"""Conditions: what a route's `when` and a named `let` may say, checked at load and evaluated in microseconds.

Imports `core` only; `compile.py` alone knows the CEL runtime. Read `compile.py` first, then `variables.py`.
A source passes `tokens` → `expand` (names resolved, lets put in) → CEL's own type checker → `Condition`.
"""
