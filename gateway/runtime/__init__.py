"""The processes: control (the parent), workers (the data plane), managed servers, and the bus between them.

The top room: may import every other one. This file imports nothing, so that `python -m gateway.runtime.worker` imports
only what a worker needs. Read `control.py` first, then `workers.py`, `worker.py` and `messages.py`; a reload is `reload.py`
→ `rollout.py` → `config_changes.py`.
"""
