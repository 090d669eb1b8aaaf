"""What the C headers of the native boundary say. Generated from them by zig/build/generate_abi.py: change those."""

from __future__ import annotations

import ctypes
from ctypes import c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

#: Of all that the headers declare: a library that was built from others has another one.
DIGEST = 0x711E12DB4A624F98

MAX_TARGET_BYTES = 1048576
MAX_HEADER_BYTES = 1048576
MAX_HEADER_COUNT = 128
NO_BODY_LIMIT = 18446744073709551615
SCRATCH_BYTES = 3211264
WS_SCRATCH_BYTES = 4096
LENT_MIN = 16384
WHOLE_BODY_MAX = 262144
BUFFERED = 0
OK = 1
GONE = 2
BAD_HEAD = -1
ABSENT = -2
BUSY = -3
STALE = -4
BAD_LENGTH = -5
TRIED = 4
TRIED_TAKEN = 1
TRIED_COMPLETE = 2
NO_OFFSET = 18446744073709551615
END_CONNECTION = 1
NO_BODY = 2
KEEP_LENGTH = 4
SCOPE_ANCIENT = 1
SCOPE_BODY = 2
SCOPE_BODY_HERE = 4
SCOPE_ENCODED = 8
SCOPE_TRAILERS = 16
SCOPE_OTHER_SCHEME = 32
SCOPE_SENT_TARGET = 64
SCOPE_HTTP_2 = 128
SCOPE_RECEIVED = 256
SCOPE_LINE_FLAGS = 0
SCOPE_LINE_METHOD = 1
SCOPE_LINE_PATH = 2
SCOPE_LINE_QUERY = 3
SCOPE_LINE_ENDS = 4
SCOPE_LINE_PREFIX = 5
SCOPE_LINE_FIELDS = 6
SCOPE_FLAGS_BASE = 11
SCOPE_FLAGS_MODULUS = 256
SCOPE_LOCAL_PATH = "unix:"
DUMP_ANCIENT = 1
DUMP_SECURE = 2
PASSED_ON = 1
TLS_CLIENT_NONE = 0
TLS_CLIENT_OPTIONAL = 1
TLS_CLIENT_REQUIRED = 2
HTTP_AUTO = 0
HTTP_1 = 1
HTTP_2 = 2
PROXY_OFF = 0
PROXY_OPTIONAL = 1
PROXY_REQUIRED = 2
BACKEND_EPOLL = 0
BACKEND_IO_URING = 1
BACKEND_KQUEUE = 2
BACKEND_UNKNOWN = -1
BACKEND_UNAVAILABLE = -2
COUNT_UNKNOWN = 0
COUNT_FIRST = 1
COUNT_SPLIT = 2
REQUEST_IS_GONE = "the request is gone: call preserve() before the handler returns"
PYTHON_SEND = 0
PYTHON_WRITE = 1
PYTHON_STREAM = 2
PYTHON_SEND_MESSAGE = 3
PYTHON_SCOPE = 4
PYTHON_SCOPE_TEXT = 5
PYTHON_SEND_WITH = 6
PYTHON_METHOD = 7
PYTHON_URL = 8
PYTHON_FULL_URL = 9
PYTHON_HEADER = 10
PYTHON_PARAMETER = 11
PYTHON_BODY_HERE = 12
PYTHON_BEGIN = 13
PYTHON_ASGI_SCOPE = 14
PYTHON_ASGI_REQUEST = 15
PYTHON_PUBLISH = 16
PYTHON_PUBLISH_FROM = 17
PYTHON_PUMP = 18
PYTHON_WAIT = 19
PYTHON_ASGI_RECEIVE = 20
PYTHON_PREPARE_TASK = 21
PYTHON_CARRY_ON = 22
PYTHON_FUNCTIONS = 23
RUNNER_LOOP = 0
RUNNER_TASK = 1
RUNNER_SPARE = 2
RUNNER_BEGUN = 3
RUNNER_RUNNING = 4
RUNNER_TASK_TYPE = 5
RUNNER_ITSELF = 6
RUNNER_ITEMS = 7
RUNNER_PREPARE = "prepare"
RUNNER_ADOPT = "adopt"
WAIT_AHEAD = 32
WAIT_BUSY = -1
WAIT_PARTNER = 1
WAIT_TURN = 2
ASGI_TEMPLATE = 0
ASGI_ROOT_PATH = 1
ASGI_ENDS = 2
ASGI_DECODE = 3
ASGI_OTHER_SCHEME = 4
ASGI_FACTS = 5
ASGI_APPLICATION = 6
ASGI_RECEIVER = 7
ASGI_STATUS_LINES = 8
ASGI_TAKE_OVER = 9
ASGI_RUNNER = 10
ASGI_LIVE = 11
ASGI_WAKE = 12
ASGI_ITEMS = 13
ASGI_PHASE_START = 0
ASGI_PHASE_HEAD = 1
ASGI_PHASE_STREAM = 2
ASGI_PHASE_TRAILERS = 3
ASGI_PHASE_DONE = 4
ASGI_PHASE_LEFT = 5
ASGI_PHASE_FAILED = 6
ASGI_RECEIVE = "receive"
ASGI_SEND = "send"
ASGI_ON_ERROR = "on_error"
ASGI_ON_RETURN = "on_return"
ASGI_RUN_AWAITABLE = "run_awaitable"
ASGI_CARRY_ON_IN_PYTHON = "carry_on"
ASGI_COMPLETE = "complete"
ASGI_STREAMED = "streamed"
ASGI_ENDED = "ended"
WSGI_STARTED = 1
WSGI_OVER = 2
WSGI_LEFT = 4
WSGI_DONE = 8
WSGI_GO_ON = 0
WSGI_FULL = 1
WSGI_TURN = 2
TLS_LOADED = 1
TLS_ABSENT = 0
TLS_TOO_OLD = -1
TLS_INCOMPLETE = -2
TLS_MEMORY = 1
TLS_CERTIFICATE = 2
TLS_CERTIFICATE_EXPIRED = 3
TLS_CERTIFICATE_EARLY = 4
TLS_KEY = 5
TLS_PASSPHRASE_MISSING = 6
TLS_PASSPHRASE_WRONG = 7
TLS_KEY_MISMATCH = 8
TLS_DH_PARAMS = 9
TLS_CA = 10
TLS_CIPHERS = 11
TLS_CIPHERSUITES = 12
TLS_SAME_KIND = 13
TLS_CRL = 14
TLS_VERSIONS = 15
TLS_INDEX_STEP = 256
TLS_REASON_BYTES = 256
DRAIN_PATIENT = 0
DRAIN_REQUESTS = 1
DRAIN_WEBSOCKETS = 2
FORWARDED = 1
FORWARDED_FOR = 2
FORWARDED_PROTO = 4
FORWARDED_HOST = 8
FORWARDED_PORT = 16
FORWARDED_PREFIX = 32
LOG_TEXT = 0
LOG_CLIENT = 1
LOG_CLIENT_PORT = 2
LOG_SERVER = 3
LOG_SERVER_PORT = 4
LOG_USER = 5
LOG_TIME_COMMON = 6
LOG_TIME_ISO = 7
LOG_TIME = 8
LOG_REQUEST = 9
LOG_METHOD = 10
LOG_TARGET = 11
LOG_PATH = 12
LOG_QUERY = 13
LOG_MARKED_QUERY = 14
LOG_PROTOCOL = 15
LOG_VERSION = 16
LOG_SCHEME = 17
LOG_HOST = 18
LOG_REQUEST_FIELD = 19
LOG_REQUEST_ID = 20
LOG_PID = 21
LOG_STATUS = 22
LOG_BYTES = 23
LOG_BYTES_OR_DASH = 24
LOG_SECONDS = 25
LOG_MILLISECONDS = 26
LOG_MICROSECONDS = 27
LOG_DECIMAL_SECONDS = 28
LOG_DECIMAL_MILLISECONDS = 29
LOG_RESPONSE_FIELD = 30
PLAN_SMALL = 1
PLAN_BODILESS = 2
PLAN_WEAK_MATCH = 4
CODE_MORE = 0
CODE_FLUSH = 1
CODE_END = 2
CODE_DROP = 3
PLAN_CODED = 1
WS_CONTINUATION = 0
WS_TEXT = 1
WS_BINARY = 2
WS_CLOSE = 8
WS_PING = 9
WS_PONG = 10
WS_OPCODE_MASK = 15
WS_COMPRESS = 16
WS_MORE = 32
WS_EXCLUDE_SELF = 64
WS_CODE_NORMAL = 1000
WS_CODE_GOING_AWAY = 1001
WS_CODE_ABNORMAL = 1006
WS_CODE_TOO_BIG = 1009
WS_CODE_INTERNAL_ERROR = 1011
WS_REASON_MAX = 123
WS_TOPIC_MAX = 65535
WS_TOPICS_RESERVED = "$socketify."
WS_IDLE_TIMEOUT_MIN = 8
WS_IDLE_TIMEOUT_MAX = 960
WS_LIFETIME_MAX = 240
METRIC_OWNER = 0
METRIC_PHASE = 1
METRIC_ASLEEP = 2
METRIC_IN_FLIGHT = 3
METRIC_CONNECTIONS = 4
METRIC_WEBSOCKETS = 5
METRIC_SUBSCRIPTIONS = 6
METRIC_TOPICS = 7
METRIC_LAG_NS = 8
METRIC_BROKER_LAG_NS = 9
METRIC_USED = 10
METRIC_ACCEPTED = 11
METRIC_ACCEPTED_HTTP_2 = 12
METRIC_TLS_HANDSHAKES = 13
METRIC_TLS_FAILURES = 14
METRIC_REFUSED_HANDLES = 15
METRIC_WAITED_LIMIT = 16
METRIC_WAITED_SYSTEM = 17
METRIC_REFUSED_CONCURRENCY = 18
METRIC_REFUSED_TIMEOUT = 19
METRIC_REFUSED_NAME = 20
METRIC_REFUSED_VERSION = 21
METRIC_REFUSED_REQUEST = 22
METRIC_ABORTED = 23
METRIC_RECEIVED_BYTES = 24
METRIC_SENT_BYTES = 25
METRIC_WS_OPENED = 26
METRIC_WS_RECEIVED = 27
METRIC_WS_RECEIVED_BYTES = 28
METRIC_WS_SENT = 29
METRIC_WS_SENT_BYTES = 30
METRIC_WS_DROPPED = 31
METRIC_PUBLISHED = 32
METRIC_BROKER_PUBLISHED = 33
METRIC_BROKER_DELIVERED = 34
METRIC_BROKER_LOST = 35
METRIC_BROKER_RECONNECTS = 36
METRIC_RESTARTS_DEATH = 37
METRIC_RESTARTS_END = 38
METRIC_RESTARTS_ROLLING = 39
METRIC_COUNT = 40
METRIC_FIRST_COUNTER = 10
PHASE_NONE = 0
PHASE_STARTING = 1
PHASE_SERVING = 2
PHASE_DRAINING = 3
METRICS_BOUNDS = "10 25 50 100 250 500 1000 2500 5000 10000 25000 50000 100000 250000 500000 1000000 2500000 5000000 10000000"
METRICS_BUCKETS = 20
METRICS_METHODS = "GET HEAD POST PUT PATCH DELETE OPTIONS other"
METRICS_METHOD_COUNT = 8
METRICS_STATUS_COUNT = 5
METRICS_ROUTE_COUNT = 128
METRICS_ROUTE_NONE = 0
METRICS_ROUTE_OTHER = 1
METRICS_ROUTE_FIRST = 2
METRICS_LABEL_BYTES = 128
METRICS_LAGS = 40
METRICS_HISTOGRAM = 21
METRICS_DURATIONS = 61
METRICS_REQUESTS = 2749
METRICS_LABELS = 7869
METRICS_LABEL_WORDS = 16
METRICS_WORDS = 10240

RequestCallback = ctypes.PYFUNCTYPE(c_int32, c_uint32, c_int32)
AbortCallback = ctypes.PYFUNCTYPE(None, c_uint32)
BodyCallback = ctypes.PYFUNCTYPE(c_int32, c_uint32, c_void_p, c_size_t, c_int32, c_int32)
TimeoutCallback = ctypes.PYFUNCTYPE(None, c_uint32)
WritableCallback = ctypes.PYFUNCTYPE(None, c_uint32)
DrainedCallback = ctypes.PYFUNCTYPE(None)
WaitingCallback = ctypes.PYFUNCTYPE(None, c_int32, c_int32)
TlsMissingCallback = ctypes.PYFUNCTYPE(None, c_void_p, c_size_t)
LogCallback = ctypes.PYFUNCTYPE(None, c_void_p, c_size_t, c_uint32)
EndsCallback = ctypes.PYFUNCTYPE(None, c_void_p, c_size_t)
PlanCallback = ctypes.PYFUNCTYPE(c_int32, c_uint32, c_void_p, c_size_t, c_void_p, c_size_t, c_int32, c_int32)
CodeCallback = ctypes.PYFUNCTYPE(c_int32, c_uint32, c_void_p, c_size_t, c_int32, c_int32)
WebSocketOpenCallback = ctypes.PYFUNCTYPE(None, c_uint32)
WebSocketMessageCallback = ctypes.PYFUNCTYPE(c_int32, c_uint32, c_void_p, c_size_t, c_int32, c_int32)
WebSocketControlCallback = ctypes.PYFUNCTYPE(None, c_uint32, c_size_t)
WebSocketCloseCallback = ctypes.PYFUNCTYPE(None, c_uint32, c_int32, c_void_p, c_size_t)
WebSocketSubscriptionCallback = ctypes.PYFUNCTYPE(None, c_uint32, c_void_p, c_size_t, c_int32, c_int32)
TopicsCallback = ctypes.PYFUNCTYPE(None)
ActiveCallback = ctypes.PYFUNCTYPE(None)


class TlsOptionsStruct(ctypes.Structure):
    """``sk_tls_options``."""

    _fields_ = [
        ("key_files", c_char_p),
        ("cert_files", c_char_p),
        ("passphrase", c_char_p),
        ("dh_params_file", c_char_p),
        ("ca_file", c_char_p),
        ("crl_file", c_char_p),
        ("ciphers", c_char_p),
        ("ciphersuites", c_char_p),
        ("client_certificate", c_int32),
        ("minimum_version", c_int32),
        ("maximum_version", c_int32),
        ("low_memory", c_int32),
        ("handshake_timeout_s", c_uint32),
    ]


class AppOptionsStruct(ctypes.Structure):
    """``sk_app_options``."""

    _fields_ = [
        ("max_body_bytes", c_uint64),
        ("max_target_bytes", c_uint32),
        ("max_header_bytes", c_uint32),
        ("max_header_count", c_uint32),
        ("max_chunk_extension_bytes", c_uint32),
        ("max_trailer_bytes", c_uint32),
        ("header_timeout_s", c_uint32),
        ("body_timeout_s", c_uint32),
        ("min_body_bytes_per_s", c_uint32),
        ("write_timeout_s", c_uint32),
        ("response_timeout_s", c_uint32),
        ("keep_alive_timeout_s", c_uint32),
        ("max_connections", c_uint32),
        ("max_concurrent_requests", c_uint32),
        ("backlog", c_uint32),
        ("max_streams", c_uint32),
        ("max_backpressure_bytes", c_uint32),
        ("http_version", c_int32),
        ("date_header", c_int32),
        ("proxy_protocol", c_int32),
        ("server_header", c_char_p),
        ("server_header_length", c_size_t),
        ("on_missing", RequestCallback),
        ("on_missing_object", c_void_p),
        ("on_abort", AbortCallback),
        ("on_body", BodyCallback),
        ("on_writable", WritableCallback),
        ("on_timeout", TimeoutCallback),
        ("on_drained", DrainedCallback),
        ("on_waiting", WaitingCallback),
    ]


class PythonStruct(ctypes.Structure):
    """``sk_python``."""

    _fields_ = [
        ("vectorcall", c_void_p),
        ("new_function", c_void_p),
        ("new_method", c_void_p),
        ("type_from_spec", c_void_p),
        ("type_alloc", c_void_p),
        ("gc_untrack", c_void_p),
        ("gc_delete", c_void_p),
        ("get_attribute", c_void_p),
        ("get_item", c_void_p),
        ("get_iterator", c_void_p),
        ("iterator_next", c_void_p),
        ("type_flags", c_void_p),
        ("is_true", c_void_p),
        ("iterator_send", c_void_p),
        ("inc_ref", c_void_p),
        ("dec_ref", c_void_p),
        ("from_long", c_void_p),
        ("from_bool", c_void_p),
        ("from_unsigned_long", c_void_p),
        ("from_bytes", c_void_p),
        ("from_latin1", c_void_p),
        ("from_utf8", c_void_p),
        ("intern", c_void_p),
        ("as_long", c_void_p),
        ("as_unsigned_long", c_void_p),
        ("bytes_content", c_void_p),
        ("text_content", c_void_p),
        ("concat", c_void_p),
        ("new_dict", c_void_p),
        ("dict_copy", c_void_p),
        ("dict_get", c_void_p),
        ("dict_get_ref", c_void_p),
        ("dict_set", c_void_p),
        ("dict_delete", c_void_p),
        ("new_list", c_void_p),
        ("list_length", c_void_p),
        ("list_get", c_void_p),
        ("list_get_ref", c_void_p),
        ("list_set", c_void_p),
        ("list_as_tuple", c_void_p),
        ("new_tuple", c_void_p),
        ("tuple_length", c_void_p),
        ("tuple_get", c_void_p),
        ("tuple_set", c_void_p),
        ("set_add", c_void_p),
        ("set_discard", c_void_p),
        ("context_copy_current", c_void_p),
        ("context_enter", c_void_p),
        ("context_exit", c_void_p),
        ("gil_ensure", c_void_p),
        ("gil_release", c_void_p),
        ("save_thread", c_void_p),
        ("restore_thread", c_void_p),
        ("check_signals", c_void_p),
        ("section_begin", c_void_p),
        ("section_end", c_void_p),
        ("length", c_void_p),
        ("error_occurred", c_void_p),
        ("error_matches", c_void_p),
        ("error_fetch", c_void_p),
        ("error_restore", c_void_p),
        ("error_normalize", c_void_p),
        ("error_clear", c_void_p),
        ("set_traceback", c_void_p),
        ("set_error", c_void_p),
        ("set_error_none", c_void_p),
        ("set_error_object", c_void_p),
        ("write_unraisable", c_void_p),
        ("none", c_void_p),
        ("attribute_error", c_void_p),
        ("type_error", c_void_p),
        ("runtime_error", c_void_p),
        ("stop_iteration", c_void_p),
        ("type_type", c_void_p),
        ("bytes_type", c_void_p),
        ("text_type", c_void_p),
        ("dict_type", c_void_p),
        ("list_type", c_void_p),
        ("tuple_type", c_void_p),
        ("coroutine_type", c_void_p),
        ("generator_type", c_void_p),
        ("enter_task", c_void_p),
        ("leave_task", c_void_p),
        ("type_word", c_size_t),
        ("object_size", c_size_t),
        ("function_weak", c_int64),
        ("counting", c_int32),
        ("vectorcall_takes_dict", c_int32),
    ]


class WebSocketPythonStruct(ctypes.Structure):
    """``sk_ws_python``."""

    _fields_ = [
        ("opcode_text", c_void_p),
        ("opcode_binary", c_void_p),
        ("status_buffered", c_void_p),
        ("status_sent", c_void_p),
        ("status_dropped", c_void_p),
        ("send", c_void_p),
        ("doc", c_char_p),
        ("session_member", c_size_t),
        ("session_type", c_void_p),
        ("socket_member", c_size_t),
        ("handle_member", c_size_t),
        ("inbox_member", c_size_t),
        ("busy_member", c_size_t),
        ("not_busy", c_void_p),
    ]


class ExchangePythonStruct(ctypes.Structure):
    """``sk_exchange_python``."""

    _fields_ = [
        ("end", c_void_p),
        ("end_doc", c_char_p),
        ("zero", c_void_p),
        ("not_dirty", c_void_p),
        ("exchange_type", c_void_p),
        ("handle", c_size_t),
        ("request_handle", c_size_t),
        ("dirty", c_size_t),
        ("passes_on", c_size_t),
        ("response_exchange", c_size_t),
        ("request_exchange", c_size_t),
        ("response_weak", c_int64),
        ("request_weak", c_int64),
    ]


class ExchangeHandlerStruct(ctypes.Structure):
    """``sk_exchange_handler``."""

    _fields_ = [
        ("handler", c_void_p),
        ("spare", c_void_p),
        ("refill", c_void_p),
        ("conclude", c_void_p),
        ("reset", c_void_p),
        ("fallback", c_void_p),
    ]


class ContinuationPythonStruct(ctypes.Structure):
    """``sk_continuation_python``."""

    _fields_ = [
        ("type", c_void_p),
        ("idle", c_void_p),
        ("fail", c_void_p),
        ("wake", c_void_p),
        ("coroutine", c_size_t),
        ("context", c_size_t),
        ("yielded", c_size_t),
        ("is_pending", c_size_t),
        ("report", c_size_t),
        ("finish", c_size_t),
        ("running", c_size_t),
        ("task", c_size_t),
        ("waker", c_size_t),
        ("runner", c_size_t),
    ]


class UvStruct(ctypes.Structure):
    """``sk_uv``."""

    _fields_ = [
        ("loop", c_void_p),
        ("backend_fd", c_void_p),
        ("backend_timeout", c_void_p),
        ("update_time", c_void_p),
        ("now", c_void_p),
        ("walk", c_void_p),
        ("handle_size", c_void_p),
        ("is_active", c_void_p),
        ("unref", c_void_p),
        ("close", c_void_p),
        ("prepare_init", c_void_p),
        ("prepare_start", c_void_p),
        ("idle_init", c_void_p),
        ("idle_start", c_void_p),
        ("idle_stop", c_void_p),
        ("poll_init", c_void_p),
        ("poll_start", c_void_p),
        ("poll_stop", c_void_p),
    ]


class WsgiOptionsStruct(ctypes.Structure):
    """``sk_wsgi_options``."""

    _fields_ = [
        ("application", c_void_p),
        ("base", c_void_p),
        ("field_key", c_void_p),
        ("add_facts", c_void_p),
        ("root_path", c_char_p),
        ("root_path_length", c_size_t),
        ("turn_ns", c_int64),
        ("secure", c_int32),
        ("piece_bytes", c_int32),
        ("new_input", c_void_p),
        ("file_wrapper", c_void_p),
        ("on_request", c_void_p),
        ("new_exchange", c_void_p),
        ("on_result", c_void_p),
        ("on_blocks", c_void_p),
        ("on_error", c_void_p),
        ("on_failure", c_void_p),
        ("get_running_loop", c_void_p),
        ("set_running_loop", c_void_p),
    ]


class ResponseEndStruct(ctypes.Structure):
    """``sk_response_end``."""

    _fields_ = [
        ("handle", c_uint32),
        ("status", c_int32),
        ("aborted", c_int32),
        ("reserved", c_int32),
        ("ended_ns", c_int64),
    ]


class LogPartStruct(ctypes.Structure):
    """``sk_log_part``."""

    _fields_ = [
        ("kind", c_int32),
        ("text", c_char_p),
        ("length", c_size_t),
    ]


class WebSocketBehaviorStruct(ctypes.Structure):
    """``sk_ws_behavior``."""

    _fields_ = [
        ("compression", c_uint32),
        ("max_payload_bytes", c_uint32),
        ("idle_timeout_s", c_uint32),
        ("max_backpressure_bytes", c_uint32),
        ("max_lifetime_min", c_uint32),
        ("close_on_backpressure_limit", c_int32),
        ("reset_idle_timeout_on_send", c_int32),
        ("send_pings_automatically", c_int32),
        ("on_upgrade", RequestCallback),
        ("on_upgrade_object", c_void_p),
        ("on_open", WebSocketOpenCallback),
        ("on_message", WebSocketMessageCallback),
        ("on_message_object", c_void_p),
        ("on_message_handler", c_void_p),
        ("on_message_result", c_void_p),
        ("on_ping", WebSocketControlCallback),
        ("on_pong", WebSocketControlCallback),
        ("on_drain", WritableCallback),
        ("on_close", WebSocketCloseCallback),
        ("on_subscription", WebSocketSubscriptionCallback),
    ]


#: By their names in C.
STRUCTS: dict[str, type[ctypes.Structure]] = {
    "sk_tls_options": TlsOptionsStruct,
    "sk_app_options": AppOptionsStruct,
    "sk_python": PythonStruct,
    "sk_ws_python": WebSocketPythonStruct,
    "sk_exchange_python": ExchangePythonStruct,
    "sk_exchange_handler": ExchangeHandlerStruct,
    "sk_continuation_python": ContinuationPythonStruct,
    "sk_uv": UvStruct,
    "sk_wsgi_options": WsgiOptionsStruct,
    "sk_response_end": ResponseEndStruct,
    "sk_log_part": LogPartStruct,
    "sk_ws_behavior": WebSocketBehaviorStruct,
}

#: Name: result and parameters.
FUNCTIONS: dict[str, tuple[object, tuple[object, ...]]] = {
    "sk_abi_digest": (c_uint64, ()),
    "sk_abi_layout": (c_uint64, ()),
    "sk_backend": (c_int32, ()),
    "sk_backend_refusal": (c_int32, ()),
    "sk_loop_backend": (c_int32, ()),
    "sk_loop_open": (c_int32, ()),
    "sk_loop_fd": (c_int32, ()),
    "sk_loop_pump": (c_int32, ()),
    "sk_loop_lead": (c_int32, (c_int32,)),
    "sk_loop_follow": (None, ()),
    "sk_loop_scratch": (c_void_p, ()),
    "sk_loop_forget": (None, ()),
    "sk_python_claim": (c_int32, (c_int64,)),
    "sk_python_load": (None, (ctypes.POINTER(PythonStruct),)),
    "sk_python_function": (ctypes.py_object, (c_int32, ctypes.py_object)),
    "sk_python_websocket": (ctypes.py_object, (ctypes.POINTER(WebSocketPythonStruct), ctypes.py_object)),
    "sk_python_response": (ctypes.py_object, (ctypes.POINTER(ExchangePythonStruct), ctypes.py_object)),
    "sk_python_continuation": (ctypes.py_object, (ctypes.POINTER(ContinuationPythonStruct),)),
    "sk_uv_attach": (c_void_p, (ctypes.POINTER(UvStruct), c_void_p)),
    "sk_uv_give_way": (None, (c_void_p,)),
    "sk_uv_detach": (None, (c_void_p, c_int32)),
    "sk_wsgi_create": (c_void_p, (ctypes.POINTER(WsgiOptionsStruct),)),
    "sk_wsgi_route": (None, (c_void_p, c_char_p, c_size_t, c_void_p)),
    "sk_wsgi_destroy": (None, (c_void_p,)),
    "sk_app_create": (c_void_p, (ctypes.POINTER(AppOptionsStruct),)),
    "sk_app_route": (None, (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_char_p, c_size_t, RequestCallback, c_void_p)),
    "sk_app_route_exchange": (
        None,
        (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_char_p, c_size_t, ctypes.POINTER(ExchangeHandlerStruct)),
    ),
    "sk_app_remove_host": (None, (c_void_p, c_char_p, c_size_t)),
    "sk_app_listen_fd": (c_int32, (c_void_p, c_int32, c_int32)),
    "sk_app_stop_listening": (None, (c_void_p,)),
    "sk_tls_load": (c_int32, (c_char_p,)),
    "sk_tls_knows_cipher": (c_int32, (c_char_p,)),
    "sk_app_tls": (c_int32, (c_void_p, c_char_p, c_size_t, ctypes.POINTER(TlsOptionsStruct))),
    "sk_app_tls_remove": (None, (c_void_p, c_char_p, c_size_t)),
    "sk_app_tls_on_missing": (None, (c_void_p, TlsMissingCallback)),
    "sk_app_tls_failures": (c_uint64, (c_void_p,)),
    "sk_app_accept_waiting": (None, (c_void_p, c_int32)),
    "sk_app_drain": (c_int32, (c_void_p, c_int32)),
    "sk_app_limit_requests": (None, (c_void_p, c_uint64, DrainedCallback)),
    "sk_app_connections": (c_uint32, (c_void_p,)),
    "sk_app_close": (None, (c_void_p,)),
    "sk_app_destroy": (c_int32, (c_void_p,)),
    "sk_req_method": (c_int32, (c_uint32,)),
    "sk_req_url": (c_int32, (c_uint32,)),
    "sk_req_full_url": (c_int32, (c_uint32,)),
    "sk_req_dump": (c_int32, (c_uint32,)),
    "sk_req_scope": (c_int32, (c_uint32,)),
    "sk_req_sent_target": (c_int32, (c_uint32,)),
    "sk_req_header": (c_int32, (c_uint32, c_char_p, c_int32)),
    "sk_req_allowed_methods": (c_int32, (c_uint32,)),
    "sk_req_is_ancient": (c_int32, (c_uint32,)),
    "sk_req_version": (c_int32, (c_uint32,)),
    "sk_req_parameter": (c_int32, (c_uint32, c_int32)),
    "sk_req_is_secure": (c_int32, (c_uint32,)),
    "sk_lend_by": (None, (c_void_p, c_void_p)),
    "sk_lend": (None, (c_void_p, c_char_p, c_size_t)),
    "sk_res_send": (c_int32, (c_uint32, c_char_p, c_int32, c_int32, c_char_p, c_size_t, c_int32)),
    "sk_res_write": (c_int32, (c_uint32, c_char_p, c_int32, c_int32, c_char_p, c_size_t)),
    "sk_res_stream": (c_int32, (c_uint32, c_char_p, c_int32, c_int32, c_char_p, c_size_t)),
    "sk_res_flush": (c_int32, (c_uint32,)),
    "sk_res_end_trailers": (c_int32, (c_uint32, c_char_p, c_int32, c_int32)),
    "sk_res_early_hints": (c_int32, (c_uint32, c_char_p, c_int32, c_int32)),
    "sk_res_try_end": (c_int32, (c_uint32, c_char_p, c_int32, c_int32, c_char_p, c_size_t, c_uint64, c_int32)),
    "sk_res_read_body": (c_int32, (c_uint32,)),
    "sk_res_body_length": (c_int64, (c_uint32,)),
    "sk_res_write_continue": (c_int32, (c_uint32,)),
    "sk_res_want_writable": (c_int32, (c_uint32,)),
    "sk_res_descriptor": (c_int32, (c_uint32,)),
    "sk_res_count_sent": (c_int32, (c_uint32, c_uint64)),
    "sk_res_await_room": (c_int32, (c_uint32,)),
    "sk_res_write_offset": (c_uint64, (c_uint32,)),
    "sk_res_buffered_bytes": (c_int64, (c_uint32,)),
    "sk_res_cork": (c_int32, (c_uint32,)),
    "sk_res_uncork": (c_int32, (c_uint32,)),
    "sk_res_pause": (c_int32, (c_uint32,)),
    "sk_res_resume": (c_int32, (c_uint32,)),
    "sk_res_close": (c_int32, (c_uint32,)),
    "sk_res_has_begun": (c_int32, (c_uint32,)),
    "sk_res_fail": (c_int32, (c_uint32,)),
    "sk_res_remote_address": (c_int32, (c_uint32,)),
    "sk_res_client_certificate": (c_int32, (c_uint32,)),
    "sk_res_tls_number": (c_uint64, (c_uint32,)),
    "sk_res_tls_facts": (c_int32, (c_uint32,)),
    "sk_app_trust": (None, (c_void_p, c_char_p, c_size_t, c_uint32, c_uint32)),
    "sk_app_log": (None, (c_void_p, ctypes.POINTER(LogPartStruct), c_size_t, c_int32, LogCallback)),
    "sk_app_flush_log": (None, (c_void_p,)),
    "sk_app_report_ends": (None, (c_void_p, EndsCallback)),
    "sk_app_take_ends": (None, (c_void_p,)),
    "sk_app_name_requests": (None, (c_void_p, c_char_p, c_size_t)),
    "sk_app_add_field": (None, (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t)),
    "sk_res_proxied_address": (c_int32, (c_uint32,)),
    "sk_res_request_id": (c_int32, (c_uint32,)),
    "sk_res_proxy_tlvs": (c_int32, (c_uint32,)),
    "sk_app_compress": (None, (c_void_p, c_uint64, PlanCallback, CodeCallback)),
    "sk_compression_output": (c_int32, (c_char_p, c_size_t)),
    "sk_res_compress": (c_int32, (c_uint32, c_int32)),
    "sk_zlib_load": (c_int32, (c_char_p,)),
    "sk_app_ws": (c_int32, (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, ctypes.POINTER(WebSocketBehaviorStruct))),
    "sk_app_publish": (c_int32, (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_int32)),
    "sk_app_num_subscribers": (c_uint32, (c_void_p, c_char_p, c_size_t)),
    "sk_app_watch_topics": (None, (c_void_p, TopicsCallback)),
    "sk_app_take_topics": (c_int32, (c_void_p,)),
    "sk_res_upgrade": (
        c_int64,
        (c_uint32, c_int32, c_char_p, c_int32, c_int32, c_char_p, c_int32, c_char_p, c_int32, c_char_p, c_int32),
    ),
    "sk_ws_set_object": (c_int32, (c_uint32, c_void_p)),
    "sk_ws_send": (c_int32, (c_uint32, c_char_p, c_size_t, c_int32)),
    "sk_ws_end": (c_int32, (c_uint32, c_int32, c_char_p, c_int32)),
    "sk_ws_close": (c_int32, (c_uint32,)),
    "sk_ws_cork": (c_int32, (c_uint32,)),
    "sk_ws_uncork": (c_int32, ()),
    "sk_ws_subscribe": (c_int32, (c_uint32, c_char_p, c_int32)),
    "sk_ws_unsubscribe": (c_int32, (c_uint32, c_char_p, c_int32)),
    "sk_ws_is_subscribed": (c_int32, (c_uint32, c_char_p, c_int32)),
    "sk_ws_topic": (c_int32, (c_uint32, c_int32)),
    "sk_ws_publish": (c_int32, (c_uint32, c_char_p, c_int32, c_char_p, c_size_t, c_int32)),
    "sk_ws_buffered_bytes": (c_int64, (c_uint32,)),
    "sk_ws_pause": (c_int32, (c_uint32,)),
    "sk_ws_resume": (c_int32, (c_uint32,)),
    "sk_app_metrics": (c_int32, (c_void_p, c_void_p, c_uint32, ActiveCallback)),
}

#: Called without conversion by argument types: integers pass as C ints and bytes as pointers, in half the time.
UNCHECKED = frozenset(
    {
        "sk_req_method",
        "sk_req_url",
        "sk_req_full_url",
        "sk_req_header",
        "sk_res_flush",
    }
)

#: Members of ``sk_python``: what CPython calls them, of which the first that is there is taken.
C_API: dict[str, tuple[str, ...]] = {
    "vectorcall": ("PyObject_Vectorcall", "PyObject_VectorcallDict"),
    "new_function": ("PyCFunction_NewEx",),
    "new_method": ("PyDescr_NewMethod",),
    "type_from_spec": ("PyType_FromSpecWithBases",),
    "type_alloc": ("PyType_GenericAlloc",),
    "gc_untrack": ("PyObject_GC_UnTrack",),
    "gc_delete": ("PyObject_GC_Del",),
    "get_attribute": ("PyObject_GetAttrString",),
    "get_item": ("PyObject_GetItem",),
    "get_iterator": ("PyObject_GetIter",),
    "iterator_next": ("PyIter_Next",),
    "type_flags": ("PyType_GetFlags",),
    "is_true": ("PyObject_IsTrue",),
    "iterator_send": ("PyIter_Send",),
    "inc_ref": ("Py_IncRef",),
    "dec_ref": ("Py_DecRef",),
    "from_long": ("PyLong_FromLong",),
    "from_bool": ("PyBool_FromLong",),
    "from_unsigned_long": ("PyLong_FromUnsignedLong",),
    "from_bytes": ("PyBytes_FromStringAndSize",),
    "from_latin1": ("PyUnicode_DecodeLatin1",),
    "from_utf8": ("PyUnicode_DecodeUTF8",),
    "intern": ("PyUnicode_InternFromString",),
    "as_long": ("PyLong_AsLong",),
    "as_unsigned_long": ("PyLong_AsUnsignedLong",),
    "bytes_content": ("PyBytes_AsStringAndSize",),
    "text_content": ("PyUnicode_AsUTF8AndSize",),
    "concat": ("PyUnicode_Concat",),
    "new_dict": ("PyDict_New",),
    "dict_copy": ("PyDict_Copy",),
    "dict_get": ("PyDict_GetItemWithError",),
    "dict_get_ref": ("PyDict_GetItemRef",),
    "dict_set": ("PyDict_SetItem",),
    "dict_delete": ("PyDict_DelItem",),
    "new_list": ("PyList_New",),
    "list_length": ("PyList_Size",),
    "list_get": ("PyList_GetItem",),
    "list_get_ref": ("PyList_GetItemRef",),
    "list_set": ("PyList_SetItem",),
    "list_as_tuple": ("PyList_AsTuple",),
    "new_tuple": ("PyTuple_New",),
    "tuple_length": ("PyTuple_Size",),
    "tuple_get": ("PyTuple_GetItem",),
    "tuple_set": ("PyTuple_SetItem",),
    "set_add": ("PySet_Add",),
    "set_discard": ("PySet_Discard",),
    "context_copy_current": ("PyContext_CopyCurrent",),
    "context_enter": ("PyContext_Enter",),
    "context_exit": ("PyContext_Exit",),
    "gil_ensure": ("PyGILState_Ensure",),
    "gil_release": ("PyGILState_Release",),
    "save_thread": ("PyEval_SaveThread",),
    "restore_thread": ("PyEval_RestoreThread",),
    "check_signals": ("PyErr_CheckSignals",),
    "section_begin": ("PyCriticalSection_Begin",),
    "section_end": ("PyCriticalSection_End",),
    "length": ("PyObject_Size",),
    "error_occurred": ("PyErr_Occurred",),
    "error_matches": ("PyErr_ExceptionMatches",),
    "error_fetch": ("PyErr_Fetch",),
    "error_restore": ("PyErr_Restore",),
    "error_normalize": ("PyErr_NormalizeException",),
    "error_clear": ("PyErr_Clear",),
    "set_traceback": ("PyException_SetTraceback",),
    "set_error": ("PyErr_SetString",),
    "set_error_none": ("PyErr_SetNone",),
    "set_error_object": ("PyErr_SetObject",),
    "write_unraisable": ("PyErr_WriteUnraisable",),
}
