"""How an answer's bytes move from a provider to a client: framing, backpressure, clocks. Knows no dialect.

May import `resilience`, `config` and `core`. Read `relay.py` first.
"""
