/* The part of socketify.h that is about what an app looks at beside its handlers: proxies, names of requests, the access log, the
 * ends of responses. Included by socketify.h, whose rules are these too. */
#ifndef SOCKETIFY_OBSERVING_H
#define SOCKETIFY_OBSERVING_H

#ifndef SOCKETIFY_H
#error "include socketify.h"
#endif

/* Fields in which trusted proxies are believed: Forwarded of RFC 7239, and those of X-Forwarded-. */
#define SK_FORWARDED 1
#define SK_FORWARDED_FOR 2
#define SK_FORWARDED_PROTO 4
#define SK_FORWARDED_HOST 8
#define SK_FORWARDED_PORT 16
#define SK_FORWARDED_PREFIX 32

/* Lines of the access log, and how many; with none, that some have begun to wait for sk_app_flush_log. */
typedef void (*sk_log_fn)(const char *lines, size_t length, uint32_t count);

/* A response that ended. */
typedef struct sk_response_end {
  uint32_t handle;
  int32_t status;   /* 0 when the client left before there was one */
  int32_t aborted;  /* 1 when the client left, or the connection was cut, before it was complete */
  int32_t reserved; /* 0 */
  int64_t ended_ns; /* since 1970 */
} sk_response_end;

/* Responses that ended, as an array of sk_response_end; with none, that some have begun to wait for sk_app_take_ends. */
typedef void (*sk_ends_fn)(const void *ends, size_t count);

/* Parts of a line of the access log. What the client sent is escaped; what there is not is "-", or in JSON null. */
enum {
  SK_LOG_TEXT,          /* the text itself */
  SK_LOG_CLIENT,        /* address, as a trusted proxy says */
  SK_LOG_CLIENT_PORT,   /* port */
  SK_LOG_SERVER,        /* address that the client connected to */
  SK_LOG_SERVER_PORT,   /* port */
  SK_LOG_USER,          /* of Basic authentication, unchecked */
  SK_LOG_TIME_COMMON,   /* [10/Oct/2000:13:55:36 -0700] */
  SK_LOG_TIME_ISO,      /* ISO 8601, with milliseconds */
  SK_LOG_TIME,          /* by the text, as strftime has it */
  SK_LOG_REQUEST,       /* the request line */
  SK_LOG_METHOD,        /* its method */
  SK_LOG_TARGET,        /* path and query */
  SK_LOG_PATH,          /* without the query */
  SK_LOG_QUERY,         /* the query, or nothing */
  SK_LOG_MARKED_QUERY,  /* with its question mark */
  SK_LOG_PROTOCOL,      /* HTTP/1.1 */
  SK_LOG_VERSION,       /* 1.1 */
  SK_LOG_SCHEME,        /* http or https */
  SK_LOG_HOST,          /* of Host, without its port */
  SK_LOG_REQUEST_FIELD, /* the field of the request that the text names, in lower case */
  SK_LOG_REQUEST_ID,    /* what the request is called */
  SK_LOG_PID,           /* of the process */
  SK_LOG_STATUS,        /* 499 when the client left before it had one; this one and what follows are known at the end */
  SK_LOG_BYTES,         /* of the body */
  SK_LOG_BYTES_OR_DASH, /* "-" for none */
  SK_LOG_SECONDS,       /* from the request's head to the end of the response */
  SK_LOG_MILLISECONDS,  /* the same in other units */
  SK_LOG_MICROSECONDS,
  SK_LOG_DECIMAL_SECONDS,      /* 1.234567 */
  SK_LOG_DECIMAL_MILLISECONDS, /* 1.234 */
  SK_LOG_RESPONSE_FIELD        /* the field of the response that the text names, in lower case */
};

/* A part of a line. Text is copied. */
typedef struct sk_log_part {
  int32_t kind; /* SK_LOG_* */
  const char *text;
  size_t length;
} sk_log_part;

/* Believes what proxies in these networks, 17 bytes each, say in the fields SK_FORWARDED_*: the address (IPv4 mapped into IPv6) and
 * the length of its prefix. Peers on Unix-domain sockets are believed always. Or else believes as many proxies as there are in a
 * row, the peer being the first, wherever they are; 0 for those of the networks. Before the first connection. */
SK_API void sk_app_trust(sk_app *app, const char *networks, size_t length, uint32_t proxies, uint32_t fields);
/* Makes a line for every response that ended, and every websocket that was opened. `json` says how text is escaped, and that it is
 * quoted. Before the first connection. */
SK_API void sk_app_log(sk_app *app, const sk_log_part *parts, size_t count, int32_t json, sk_log_fn callback);
/* Calls back with the lines that wait, if any. */
SK_API void sk_app_flush_log(sk_app *app);
/* Reports the end of every response to a request that began, and every websocket that was opened. Before the first connection. */
SK_API void sk_app_report_ends(sk_app *app, sk_ends_fn callback);
/* Calls back with the ends that wait, if any. */
SK_API void sk_app_take_ends(sk_app *app);
/* Gives every request a name, unless it has one in the field of that name (lower case): the handler finds it there, and so does the
 * client in the response. Before the first connection. */
SK_API void sk_app_name_requests(sk_app *app, const char *field, size_t length);
/* A field of all responses that do not have one of that name. Both were checked. Before the first connection. */
SK_API void sk_app_add_field(sk_app *app, const char *name, size_t name_length, const char *value, size_t length);
/* The client's packed address as a PROXY protocol header said; empty without one. */
SK_API int32_t sk_res_proxied_address(uint32_t handle);
/* What the request is called (sk_app_name_requests); empty without a name. */
SK_API int32_t sk_res_request_id(uint32_t handle);
/* What else a header of version 2 said, as type, length and value of each fact, unchecked; SK_ABSENT without a header. */
SK_API int32_t sk_res_proxy_tlvs(uint32_t handle);

#endif
