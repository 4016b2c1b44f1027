"""HTTP as clients see it: connections, bodies, headers, errors; and the admin pages of control.

May import everything but `runtime` and `cli`. Read `app.py` first, then `client.py`; what is refused before them, in `wire.py`.
"""
