"""gRPC after a fork: allowed before gRPC is imported, and refused with a reason where it cannot work.

To be imported before gRPC, which reads its variables once; `exatrkx_client.triton_api.connect` does.
"""

from __future__ import annotations

import os
import sys
from typing import Final

from exatrkx_client.address import Address
from exatrkx_client.errors import ClientError

_VARIABLE: Final = "GRPC_ENABLE_FORK_SUPPORT"

ENVIRONMENT: Final = {_VARIABLE: "1", "GRPC_VERBOSITY": "NONE"}
"""A forked process may use gRPC, and what gRPC raises is not logged, too. A server is started without these."""

if "grpc" not in sys.modules:
    os.environ.update(ENVIRONMENT | os.environ)
_ALLOWED: Final = os.environ.get(_VARIABLE) in {"1", "true", "yes", "on"}
_IMPORTED_IN: Final = os.getpid()


def require_fork_support(address: Address) -> None:
    """Refuse a channel on which every request would hang.

    Raises:
        ClientError: this process was forked from one that had imported gRPC without leave to fork.
    """
    if os.getpid() != _IMPORTED_IN and not _ALLOWED:
        raise ClientError(
            f"{address}: this process was forked from one that had imported gRPC without {_VARIABLE}=1; "
            "set that, or import exatrkx_client before gRPC, or speak HTTP"
        )
