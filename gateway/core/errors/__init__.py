"""Everything that can go wrong with a request, and what it means for the client, the retry and the breaker.

Import every error from here. Three families, one file each:

| family          | file          | what is wrong                                    |
|-----------------|---------------|--------------------------------------------------|
| `CallerError`   | `caller.py`   | the request itself                               |
| `UpstreamError` | `upstream.py` | a provider or its answer                         |
| `CapacityError` | `capacity.py` | the gateway has no room or no endpoint now       |

Foreign exceptions become one of these in `providers/`. These become HTTP in `api/render.py` and nowhere else.
"""

from gateway.core.errors.base import *
from gateway.core.errors.caller import *
from gateway.core.errors.capacity import *
from gateway.core.errors.upstream import *
