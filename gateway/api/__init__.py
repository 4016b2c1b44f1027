"""HTTP towards clients: connections, request checks, bodies, responses, errors; and the admin API of the control process.

May import everything except `runtime`, `cli` and `simulator`. Read `app.py` first, then `edge.py`, `kinds.py` and `client_side.py`;
`request_checks.py` has the rules by which a request is rejected before it reaches them.
"""
