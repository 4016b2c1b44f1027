"""The processes: control (the parent), workers (the data plane), watched children, and the bus between them.

The top room: may import every other one. Nothing here runs at import, so that `python -m gateway.runtime.worker`
pays only for what a worker needs. Read `control.py` first, then `workers.py`, `worker.py` and `bus.py`; how a
configuration becomes what serves, in `build.py`.
"""
