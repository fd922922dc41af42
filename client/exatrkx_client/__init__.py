"""Client library for track finding on a remote server, from NumPy arrays or events to labels. Needs no torch.

with TrackingClient("127.0.0.1:8001") as client:
    client.wait_until_ready(timeout_s=30)
    labels = client.find_tracks(event)
"""

from exatrkx_client.answer import TrackResult
from exatrkx_client.client import TrackingClient
from exatrkx_client.credentials import Credentials, CredentialsError
from exatrkx_client.errors import (
    AccessError,
    ClientError,
    DeadlineError,
    RequestRejectedError,
    ServedModelError,
    ServerError,
    ServerUnavailableError,
)
from exatrkx_client.retry import Retry

__all__ = [
    "AccessError",
    "ClientError",
    "Credentials",
    "CredentialsError",
    "DeadlineError",
    "RequestRejectedError",
    "Retry",
    "ServedModelError",
    "ServerError",
    "ServerUnavailableError",
    "TrackResult",
    "TrackingClient",
]
