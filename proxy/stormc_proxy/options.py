"""What can be set, in one table: it makes the parser, the keys of the config file and the rows in docs/proxy.md."""

from __future__ import annotations

from typing import Literal, NamedTuple

MODES = ("layerwise", "standard")
RESUMES = ("continue", "first-message")
ACKS = ("early", "late")


class Option(NamedTuple):
    """One setting."""

    name: str
    """The field of Settings."""
    default: bool | int | float | str
    help: str
    flag: str = ""
    """Its name on the command line, prefixes included; empty where only the config file has it."""
    key: str = ""
    """Its name in the config file; empty where only the command line has it."""
    unit: Literal["", "SECONDS", "N", "HOST", "PORT", "FILE", "ORIGIN", "LEVEL", "URL"] = ""
    choices: tuple[str, ...] = ()
    fixed: bool = False
    """Whether it holds until the next start; a reload that changes it is logged."""
    off: bool = False
    """Whether its flag switches it off."""


TABLE: tuple[Option, ...] = (
    Option("mode", "layerwise", "layerwise: decode first, it calls the metaserver back (MooncakeLayerwiseConnector); "
           "standard: prefill first (MooncakeConnectorV1)", "--mode", "mode", "", MODES, fixed=True),
    Option("host", "localhost", "address to listen on; `::` is every address, of IPv4 too", "--host", "host", "HOST",
           fixed=True),
    Option("port", 8000, "port to listen on", "--port", "port", "PORT", fixed=True),
    Option("advertise_host", "", "address that decode instances call back, never a wildcard; empty: that of --host",
           "--advertise-host", "advertiseHost", "HOST", fixed=True),
    Option("metaserver_port", 0, "port for decode's callbacks, of the first worker, the next ones follow; 0: a port of "
           "its own that the system chooses; that of --port: no port of its own", "--metaserver-port",
           "metaserverPort", "PORT", fixed=True),
    Option("check_remote_host", True, "refuse a callback that sends a KV cache to another machine than the decode "
           "instance's, where that is given by its address; off for nodes whose engines name another interface",
           "--no-check-remote-host", "checkRemoteHost", off=True),
    Option("max_failures", 3, "failures after which one more isolates an instance", "--max-failures", "maxFailures",
           "N"),
    Option("cumulative_failures", False, "a success does not reset the count of failures (the literal seed rule)",
           "--cumulative-failures", "cumulativeFailures"),
    Option("probe_interval_seconds", 5.0, "time between `GET /health` of an instance", "--probe-interval",
           "probeIntervalSeconds", "SECONDS"),
    Option("probe_timeout_seconds", 2.0, "time that a probe waits", "--probe-timeout", "probeTimeoutSeconds",
           "SECONDS"),
    Option("slow_start_seconds", 0.0, "an instance that comes back reaches its full share after this time; 0 is at "
           "once", "--slow-start", "slowStartSeconds", "SECONDS"),
    Option("max_backoff_seconds", 0.0, "an instance that keeps failing waits longer each time, up to this; 0 never",
           "--max-backoff", "maxBackoffSeconds", "SECONDS"),
    Option("max_isolated_percent", 100, "never isolate more than this share of a role", "--max-isolated-percent",
           "maxIsolatedPercent", "N"),
    Option("panic", False, "when all instances of a role are faulty, try them anyway, not 503", "--panic", "panic"),
    Option("fallback", True, "without a usable prefill instance decode serves alone, which it can", "--no-fallback",
           "fallback", off=True),
    Option("max_retries", 3, "attempts per request, each at another instance", "--max-retries", "maxRetries", "N"),
    Option("retry_delay", 0.001, "pause before the second attempt, doubled for each further one", "--retry-delay", "",
           "SECONDS"),
    Option("retry_budget_percent", 100, "retries within ten seconds as a share of the requests, beyond 64",
           "--retry-budget-percent", "retryBudgetPercent", "N"),
    Option("connect_timeout_seconds", 3.0, "time to open a connection", "--connect-timeout", "connectTimeoutSeconds",
           "SECONDS"),
    Option("response_timeout_seconds", 1800.0, "time until an instance begins to answer; queues are long, 0 is no "
           "limit", "--response-timeout", "responseTimeoutSeconds", "SECONDS"),
    Option("first_event_timeout_seconds", 60.0, "time from the end of a prefill to the first event of decode's "
           "stream (layerwise); then another instance is tried; 0 is no limit", "--first-event-timeout",
           "firstEventTimeoutSeconds", "SECONDS"),
    Option("stream_idle_timeout_seconds", 600.0, "time between two events of a stream, comments do not count; 0 is no "
           "limit", "--stream-idle-timeout", "streamIdleTimeoutSeconds", "SECONDS"),
    Option("prefix_weight", 5.0, "how much a prompt's own work at a prefill instance, its cached prefix left out, "
           "counts beside the load there; 0 chooses by load alone", "--prefix-weight", "prefixWeight", "N"),
    Option("prefix_keys", 100_000, "prefixes of prompts that are remembered, one for 2 KiB; about 170 bytes each",
           "--prefix-keys", "prefixKeys", "N", fixed=True),
    Option("peers", "", "names of the other routing pods, with commas between them, or one that stands for all; they "
           "tell each other loads and choices by UDP on the number of --port; empty: a single pod", "--peers", "peers",
           "HOST"),
    Option("app", "", "name of the app, for the status page", "", "app"),
    Option("namespace", "", "its namespace, for the status page", "", "namespace"),
    Option("model", "", "the model it serves, for the status page", "", "model"),
    Option("max_recomputes", 8, "times that decode may give an answer up for recomputation; 0 lets it through",
           "--max-recomputes", "maxRecomputes", "N"),
    Option("chat_resume", "continue", "where a resumed chat answer goes on: in an assistant message of its own, or, "
           "as in the reference, in the first message", "--chat-resume", "chatResume", "", RESUMES),
    Option("resume_streams", True, "a stream whose decode instance dies goes on at another one, as a recomputed one "
           "does", "--no-resume-streams", "resumeStreams", off=True),
    Option("metaserver_ack", "early", "answer a callback at once, or `late`, after the prefill, as the reference",
           "--metaserver-ack", "metaserverAck", "", ACKS),
    Option("max_body_bytes", 64 * 1024 * 1024, "larger requests get 413", "--max-body-bytes", "maxBodyBytes", "N",
           fixed=True),
    Option("max_inflight_bytes", 128 * 1024 * 1024, "bodies of running requests that may be held together, small ones "
           "not counted; beyond 429; 0 is no limit", "--max-inflight-bytes", "maxInflightBytes", "N"),
    Option("max_requests", 4096, "more requests at a time get 429; 0 is no limit", "--max-requests", "maxRequests",
           "N"),
    Option("body_timeout_seconds", 60.0, "time between two reads of a client's body, then 408", "--body-timeout",
           "bodyTimeoutSeconds", "SECONDS"),
    Option("keep_alive_seconds", 75.0, "time that an idle connection of a client is kept", "--keep-alive",
           "keepAliveSeconds", "SECONDS"),
    Option("heartbeat_seconds", 0.0, "a stream that waits so long gets a comment, so that nothing on the way takes it "
           "for dead; its status is 200 from then on; 0 sends none", "--heartbeat", "heartbeatSeconds", "SECONDS"),
    Option("cors_origin", "*", "web pages that may use the API: an origin, `*` for all, empty for none",
           "--cors-origin", "corsOrigin", "ORIGIN"),
    Option("inbound_keys_file", "", "file with the API keys of clients, one a line, read again when it changes; empty: "
           "everybody is served", "--inbound-keys-file", "inboundKeysFile", "FILE", fixed=True),
    Option("tls_cert_file", "", "certificate chain for clients, in PEM; the port speaks TLS then. Read again when it "
           "changes, as all files of TLS", "--tls-cert-file", "tlsCertFile", "FILE", fixed=True),
    Option("tls_key_file", "", "its key; empty: it is in the same file", "--tls-key-file", "tlsKeyFile", "FILE",
           fixed=True),
    Option("tls_client_ca_file", "", "clients need a certificate signed by one of these authorities",
           "--tls-client-ca-file", "tlsClientCaFile", "FILE", fixed=True),
    Option("metaserver_tls", False, "decode calls back by TLS too, on the port for callbacks, with the same "
           "certificate", "--metaserver-tls", "metaserverTls", fixed=True),
    Option("engine_tls", False, "engines are asked by TLS, probes included; their certificates name the hosts of the "
           "config file", "--engine-tls", "engineTls", fixed=True),
    Option("engine_ca_file", "", "authorities that sign the engines' certificates; empty: those of the system",
           "--engine-ca-file", "engineCaFile", "FILE", fixed=True),
    Option("engine_cert_file", "", "certificate that the proxy shows to engines", "--engine-cert-file",
           "engineCertFile", "FILE", fixed=True),
    Option("engine_key_file", "", "its key; empty: it is in the same file", "--engine-key-file", "engineKeyFile",
           "FILE", fixed=True),
    Option("drain_seconds", 30.0, "time for running requests after SIGTERM", "--drain-seconds", "drainSeconds",
           "SECONDS"),
    Option("otlp_endpoint", "", "OpenTelemetry collector for spans, as `http://collector:4318`; empty: that of "
           "OTEL_EXPORTER_OTLP_ENDPOINT; without one a client's traces pass as they are. Needs aiohttp",
           "--otlp-endpoint", "otlpEndpoint", "URL", fixed=True),
    Option("trace_percent", 100.0, "share of the requests that are traced if the client does not decide it",
           "--trace-percent", "tracePercent", "N"),
    Option("access_log", True, "a line in the log for every request", "--no-access-log", "accessLog", off=True),
    Option("workers", 1, "processes that share the port", "--workers", "", "N", fixed=True),
    Option("max_waiting_retries", 3, "probes that an instance of /instances/add may miss after the first",
           "--max-waiting-retries", "", "N"),
    Option("waiting_retry_interval", 10.0, "time between these probes", "--waiting-retry-interval", "", "SECONDS"),
)  # fmt: skip

CONFIG_KEYS = {option.key: option.name for option in TABLE if option.key}
FIXED_AT_START = tuple(option.name for option in TABLE if option.fixed)
