"""From a checked `Spec` to a `Snapshot` that serves requests. Control and workers run the same code.

May import `upstream` and what stands below it. Read `snapshot.py` first; `targets.py` makes the endpoints' targets, `route_plans.py`
the pools of each route, `policies.py` the settings in force. `runtime/services.py` puts a snapshot in force (`activate`): there live
endpoints get their new settings.
"""
