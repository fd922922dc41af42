"""Configurations of load balancers, haproxy's and Envoy's, out of one description of the servers behind them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from exatrkx_server.errors import ServerOptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exatrkx_server.balancer import Balancer

GRPC_PATHS: Final = (
    "^/inference\\.GRPCInferenceService/(Server(Live|Ready|Metadata)|Model(Ready|Metadata|Config|Statistics|Infer))$"
)
"""What passes over gRPC: readiness, questions and inference."""

_LONGEST_REQUEST_S: Final = 600
_MOST_REQUESTS: Final = 8192
_BUFFER: Final = 1 << 20

_WATCHDOG: Final = {"miss_timeout": "20s", "megamiss_timeout": "60s"}
"""Envoy's own, 0.2 s, wakes it fifty times a second, for counters that nobody reads."""

_HAPROXY: Final = """\
# Written by `exatrkx balancer haproxy`, for haproxy 2.6 or later.
global
    maxconn {most_requests}
    # Debian 12's haproxy loses the end of an answer that just fills a buffer; with 16 KiB, its default, half of those
    # for events of 1,960 to 2,000 spacepoints. None of an ordinary event fills this one.
    tune.bufsize {buffer}
    tune.h2.initial-window-size 1048576  # a crowded event; 64 KiB is the default

defaults
    mode http
    balance leastconn  # of requests: those of one HTTP/2 connection go to different servers
    http-reuse always
    option redispatch
    timeout connect 5s
    timeout client {timeout}s
    timeout server {timeout}s
    timeout http-request 10s
    timeout check 5s
    # What waits at a server that is not ready any more ends with "unavailable", and is sent again by its client.
    default-server inter 2s fall 2 rise 1 on-marked-down shutdown-sessions

frontend grpc
    bind {host}:{grpc_port} {grpc_bind}
    http-request deny deny_status 404 unless {{ path -m reg '{grpc_paths}' }}
    default_backend grpc

frontend http
    bind {host}:{http_port} {http_bind}
    http-request deny deny_status 413 if {{ req.hdr_val(content-length) gt {max_bytes} }}
    http-request deny deny_status 400 if METH_POST !{{ req.hdr(content-length) -m found }}
    http-request deny deny_status 403 unless METH_GET{or_post}
    http-request deny deny_status 404 unless {{ path_beg /v2 }}
    default_backend http

backend grpc
    option httpchk GET {ready_path}
{grpc_servers}

backend http
{http_servers}
"""


def haproxy(balancer: Balancer) -> str:
    """A configuration of haproxy.

    Raises:
        ServerOptionError: the key is where haproxy does not find it.
    """
    cert, key = balancer.tls_cert, balancer.tls_key
    if key not in {cert, cert and cert.with_name(f"{cert.name}.key")}:
        raise ServerOptionError(f"--tls-key: haproxy takes the key from {cert} itself, or from {cert}.key")
    tls = f"ssl crt {cert} ssl-min-ver TLSv1.2 " if cert else ""
    if balancer.tls_ca:
        tls += f"verify required ca-file {balancer.tls_ca} "
    servers = list(enumerate(balancer.servers))
    return _HAPROXY.format(
        most_requests=_MOST_REQUESTS,
        buffer=_BUFFER,
        timeout=_LONGEST_REQUEST_S,
        host=_bracketed(balancer.host),
        grpc_port=balancer.grpc_port,
        http_port=balancer.http_port,
        grpc_bind=f"{tls}alpn h2" if tls else "proto h2",
        http_bind=f"{tls}alpn h2,http/1.1" if tls else "",
        grpc_paths=GRPC_PATHS,
        max_bytes=balancer.max_request_bytes,
        or_post=" or METH_POST" if balancer.http_inference else "",
        ready_path=balancer.ready_path,
        grpc_servers="\n".join(
            f"    server server{number} {_bracketed(one.host)}:{one.grpc_port} proto h2 "
            f"check check-proto h1 port {one.health_port}"
            for number, one in servers
        ),
        http_servers="\n".join(
            f"    server server{number} {_bracketed(one.host)}:{one.http_port} track grpc/server{number}"
            for number, one in servers
        ),
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def envoy(balancer: Balancer) -> str:
    """A configuration of Envoy, as JSON, which is YAML."""
    get = {"headers": [{"name": ":method", "string_match": {"exact": "GET"}}]}
    http_match = {"prefix": "/v2"} | ({} if balancer.http_inference else get)
    configuration = {
        "watchdogs": {"main_thread_watchdog": _WATCHDOG, "worker_watchdog": _WATCHDOG},
        "stats_config": {"stats_matcher": {"reject_all": True}},  # without an admin port nobody reads them
        "static_resources": {
            "listeners": [
                _listener(balancer, "grpc", balancer.grpc_port, {"safe_regex": {"regex": GRPC_PATHS}}),
                _listener(balancer, "http", balancer.http_port, http_match),
            ],
            "clusters": [
                _cluster(balancer, "grpc", [one.grpc_port for one in balancer.servers]),
                _cluster(balancer, "http", [one.http_port for one in balancer.servers]),
            ],
        },
    }
    return f"# Written by `exatrkx balancer envoy`.\n{json.dumps(configuration, indent=1)}\n"


def _typed(name: str, kind: str, **settings: Any) -> dict[str, Any]:
    """An extension of Envoy's by name, with its settings."""
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/envoy.extensions.{kind}", **settings}}


def _listener(balancer: Balancer, name: str, port: int, match: Mapping[str, Any]) -> dict[str, Any]:
    """Where clients connect, and which of their requests go on to the servers."""
    retry = {
        "retry_on": "connect-failure,refused-stream,reset,unavailable",  # to find tracks twice does no harm
        "num_retries": 3,
        "retry_host_predicate": [
            _typed("envoy.retry_host_predicates.previous_hosts", "retry.host.previous_hosts.v3.PreviousHostsPredicate")
        ],
        "host_selection_retry_max_attempts": 5,
    }
    route = {"cluster": name, "timeout": f"{_LONGEST_REQUEST_S}s", "retry_policy": retry}
    hosts = [{"name": name, "domains": ["*"], "routes": [{"match": match, "route": route}]}]
    manager = _typed(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=name,
        codec_type="HTTP2" if name == "grpc" else "AUTO",
        stream_idle_timeout=f"{_LONGEST_REQUEST_S}s",
        # Headers that neither Triton nor its clients read, with a random number each, cost a twentieth of a hop.
        generate_request_id=False,
        skip_xff_append=True,
        server_header_transformation="PASS_THROUGH",
        route_config={"virtual_hosts": hosts},
        http_filters=[
            _typed(
                "envoy.filters.http.buffer",
                "filters.http.buffer.v3.Buffer",
                max_request_bytes=balancer.max_request_bytes,
            ),
            _typed(
                "envoy.filters.http.router",
                "filters.http.router.v3.Router",
                suppress_envoy_headers=True,
                dynamic_stats=False,
            ),
        ],
    )
    chain = {"filters": [manager]} | _tls(balancer, ["h2"] if name == "grpc" else ["h2", "http/1.1"])
    return {"name": name, "address": _address(balancer.host, port), "filter_chains": [chain]}


def _tls(balancer: Balancer, protocols: list[str]) -> dict[str, Any]:
    """What encrypts a listener; nothing where there is no certificate."""
    if not balancer.tls_cert:
        return {}
    certificate = {"filename": str(balancer.tls_cert)}, {"filename": str(balancer.tls_key)}
    context: dict[str, Any] = {
        "alpn_protocols": protocols,
        "tls_certificates": [dict(zip(("certificate_chain", "private_key"), certificate, strict=True))],
    }
    if balancer.tls_ca:
        context["validation_context"] = {"trusted_ca": {"filename": str(balancer.tls_ca)}}
    kind = "transport_sockets.tls.v3.DownstreamTlsContext"
    required = {"require_client_certificate": balancer.tls_ca is not None}
    return {"transport_socket": _typed("envoy.transport_sockets.tls", kind, common_tls_context=context, **required)}


def _cluster(balancer: Balancer, name: str, ports: list[int]) -> dict[str, Any]:
    """The servers: how one is chosen, and when it is left out."""
    endpoints = [
        {"endpoint": {"address": _address(one.host, port), "health_check_config": {"port_value": one.health_port}}}
        for one, port in zip(balancer.servers, ports, strict=True)
    ]
    least = _typed(
        "envoy.load_balancing_policies.least_request",
        "load_balancing_policies.least_request.v3.LeastRequest",
        selection_method="FULL_SCAN",
    )
    limits = {f"max_{kind}": _MOST_REQUESTS for kind in ("connections", "pending_requests", "requests", "retries")}
    cluster: dict[str, Any] = {
        "name": name,
        "type": "STRICT_DNS",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        "load_balancing_policy": {"policies": [{"typed_extension_config": least}]},
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},  # never one that is not ready
        "circuit_breakers": {"thresholds": [limits]},
        "close_connections_on_host_health_failure": True,  # what waits there is sent to another
        "health_checks": [
            {
                "timeout": "5s",
                "interval": "2s",
                "no_traffic_interval": "2s",
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
                "http_health_check": {"path": balancer.ready_path},
            }
        ],
    }
    if name == "grpc":
        kind = "upstreams.http.v3.HttpProtocolOptions"
        http2 = _typed("", kind, explicit_http_config={"http2_protocol_options": {}})["typed_config"]
        cluster["typed_extension_protocol_options"] = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2}
    return cluster


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


CONFIGURATIONS: Final[dict[str, Callable[[Balancer], str]]] = {"haproxy": haproxy, "envoy": envoy}
"""The programs, and what writes the configuration of each."""
