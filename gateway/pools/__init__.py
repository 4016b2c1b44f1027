"""The endpoints that can be asked, what is known of each, and the order in which they are.

May import `providers` and everything below it. Read `endpoint.py` first, then `choice.py` (who can be asked), `gate.py` (how many at a
time) and `standing.py` (who is out of rotation, and who is told).
"""
