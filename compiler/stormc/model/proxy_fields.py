"""The fields of a spec's `proxy`: what the routing pods' config file says, key by key.

The proxy has its own table (stormc_proxy/options.py); a test keeps the two alike, because the programs share no code.
"""

from __future__ import annotations

from stormc.facts import limits
from stormc.model.forms import Schema, field, whole

PROXY: Schema = {
    "source": field(
        "string", "Where the proxy program comes from: a ConfigMap with stormc's own, or the routing image.",
        allowed=["configMap", "image"], default="configMap",
    ),
    "port": whole("Port of the routing pods.", 1024, limits.PORT_MAX, default=8080),
    "maxFailures": whole("Failures after which one more isolates an instance.", 0, 1000, default=3),
    "probeIntervalSeconds": whole("Seconds between health probes.", 1, 3600, default=5),
    "probeTimeoutSeconds": whole("Seconds that a probe waits.", 1, 3600, default=2),
    "maxRetries": whole("Attempts per request.", 1, 100, default=3),
    "connectTimeoutSeconds": whole("Seconds to open a connection.", 1, 3600, default=3),
    "streamIdleTimeoutSeconds": whole("Seconds between two events of a stream; 0 is no limit.", 0, 86400, default=600),
    "drainSeconds": whole("Seconds for running requests when a routing pod stops.", 0, 3600, default=30),
    # Without a default here the proxy's own holds (stormc_proxy/settings.py).
    "cumulativeFailures": field("boolean", "A success does not reset an instance's count of failures."),
    "slowStartSeconds": whole("Seconds until an instance that came back has its full share again.", 0, 3600),
    "maxBackoffSeconds": whole("Longest time between probes of an instance that keeps failing.", 0, 86400),
    "maxIsolatedPercent": whole("Largest share of a role that is isolated at a time.", 0, 100),
    "panic": field("boolean", "When all instances of a role are isolated, try them anyway instead of 503."),
    "retryBudgetPercent": whole("Retries within ten seconds as a share of the requests.", 0, 10000),
    "responseTimeoutSeconds": whole("Seconds until an instance starts to answer; 0 is no limit.", 0, 86400),
    "prefixWeight": whole(
        "How much a prompt's own work at a prefill instance, its cached prefix left out, counts beside the load there; "
        "0 chooses by load alone.", 0, 100,
    ),
    "prefixKeys": whole("Prefixes of prompts that are remembered, one for 2 KiB.", 1024, 10_000_000),
    "maxRecomputes": whole("Times that an instance may give an answer up for recomputation.", 0, 1000),
    "chatResume": field(
        "string", "Where a recomputed chat answer goes on: a message of its own, or the first, as in the reference.",
        allowed=["continue", "first-message"],
    ),
    "metaserverAck": field(
        "string", "When a decode instance's callback is answered: at once, or after the prefill, as in the reference.",
        allowed=["early", "late"],
    ),
    "maxBodyBytes": whole("Larger requests get 413.", 1024, 2**31 - 1),
    "maxRequests": whole("More requests at a time get 429; 0 is no limit.", 0, 1_000_000),
    "maxInflightBytes": whole("Bytes of requests held at a time; beyond 429; 0 is no limit.", 0, 2**40),
    "bodyTimeoutSeconds": whole("Seconds between two reads of a request's body, then 408.", 0, 86400),
    "keepAliveSeconds": whole("Seconds that an idle connection of a client is kept.", 1, 86400),
    "heartbeatSeconds": whole("A stream that waits so long gets a comment; 0 sends none.", 0, 86400),
    "corsOrigin": field("string", "Web pages that may use the API: an origin, * for all, empty for none."),
    "inboundKeysFile": field("string", "File in the routing pods with the API keys of clients, one a line."),
    "tlsCertFile": field("string", "File in the routing pods with the certificate for clients; their port speaks TLS."),
    "tlsKeyFile": field("string", "File with its key."),
    "tlsClientCaFile": field("string", "File with the authorities that sign the certificates of clients."),
    "metaserverTls": field("boolean", "Decode instances call back by TLS, with the same certificate."),
    "engineTls": field("boolean", "Engines are asked by TLS."),
    "engineCaFile": field("string", "File with the authorities that sign the engines' certificates."),
    "engineCertFile": field("string", "File with the certificate that the proxy shows to engines."),
    "engineKeyFile": field("string", "File with its key."),
    "firstEventTimeoutSeconds": whole("Seconds from a prefill's end to the first event; 0 is no limit.", 0, 86400),
    "fallback": field("boolean", "Without a usable prefill instance decode serves alone."),
    "resumeStreams": field("boolean", "A stream whose decode instance dies goes on at another one."),
    "checkRemoteHost": field("boolean", "Refuse a callback that sends a KV cache to another machine than decode's."),
    "otlpEndpoint": field("string", "OpenTelemetry collector for the proxy's spans, as http://collector:4318."),
    "tracePercent": whole("Share of the requests that are traced if the client does not decide it.", 0, 100),
    "accessLog": field("boolean", "A line in the log for every request."),
}  # fmt: skip
