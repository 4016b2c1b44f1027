"""How the bytes of a body move between provider and client: framing, relay, backpressure, timers. Knows no dialect.

May import `resilience`, `config` and `core`. Read `relay.py` first (streams, and their ends with or without an error), then `timers.py`;
`sse.py` cuts events, `upload.py` and `download.py` carry bodies that the gateway does not read.
"""
