/* The C ABI of socketify's native library: the only symbols it exports.
 *
 * Rules of this boundary
 *  - Text crosses as pointer and length; nothing is NUL-terminated unless a parameter says so. Nobody frees what the
 *    other side allocated, and nothing is kept beyond a call unless a comment says so.
 *  - A response or websocket is a handle: a 32-bit number made of a slot and its generation. A handle that is stale, or that
 *    belongs to another thread's loop, is recognised; the call does nothing and returns SK_GONE
 *    (SK_STALE where the result is a length or a number).
 *  - Functions that return text write it into the loop's scratch buffer (sk_loop_scratch) and return its length in bytes.
 *  - No function blocks, and none may be called from a thread other than the one that created the app, except where a
 *    comment says so.
 */
#ifndef SOCKETIFY_H
#define SOCKETIFY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SK_API __attribute__((visibility("default")))

/* Words for zig/build/generate_abi.py, which makes socketify/native/abi.py of these headers. The first is for functions of the hot
 * path, whose arguments ctypes shall not convert by their types: plain integers then pass as C ints and bytes as pointers. The
 * other says what a member of sk_python is called in CPython's C API; of several names the first that is there is taken. */
#define SK_UNCHECKED
#define SK_CPYTHON(...)

/* The highest limits of an app; higher ones count as these. */
#define SK_MAX_TARGET_BYTES 1048576
#define SK_MAX_HEADER_BYTES 1048576
#define SK_MAX_HEADER_COUNT 128
/* The max_body_bytes of an app that has no such limit. */
#define SK_NO_BODY_LIMIT UINT64_MAX

/* Bytes of the scratch buffer; no text that a function returns is ever longer: the longest is a request with the highest
 * limits, whose target is there whole and as parameters or as Host. */
#define SK_SCRATCH_BYTES 3211264
/* Longer messages are read where they are: copying them twice takes longer than asking for an address. */
#define SK_WS_SCRATCH_BYTES 4096
/* Of what is shorter nothing is ever referred to instead of copied, see sk_lend. */
#define SK_LENT_MIN (16 * 1024)
/* Bodies up to this size are handed over whole; of longer ones only what the client takes. */
#define SK_WHOLE_BODY_MAX (256 * 1024)

/* Results of the response functions. */
#define SK_BUFFERED 0      /* accepted; part of it waits in memory for the client to read */
#define SK_OK 1            /* accepted and handed to the kernel, or to the packet that leaves when the handler returns */
#define SK_GONE 2          /* nothing happened: the response ended before, or the client left */
#define SK_BAD_HEAD (-1)   /* the status line or a field is not valid; nothing was sent */
#define SK_ABSENT (-2)     /* there is no such header, parameter or body */
#define SK_BUSY (-3)       /* not now: the head was sent already, or the loop is running */
#define SK_STALE (-4)      /* what SK_GONE says, where a result can be a length or a number */
#define SK_BAD_LENGTH (-5) /* the body is not as long as its Content-Length says; nothing was sent */

/* Results of sk_res_try_end, beside SK_GONE and SK_BAD_HEAD: the first, and flags. */
#define SK_TRIED 4
#define SK_TRIED_TAKEN 1    /* everything that was passed was taken */
#define SK_TRIED_COMPLETE 2 /* the response is complete */
/* What sk_res_write_offset returns without a response. */
#define SK_NO_OFFSET UINT64_MAX

/* Flags of sk_res_send and sk_res_try_end. */
#define SK_END_CONNECTION 1 /* close the connection after this response */
#define SK_NO_BODY 2        /* no body follows; the answer to HEAD has the Content-Length among its fields, if any */
/* A Content-Length among the fields must be right (SK_BAD_LENGTH), but for the answer to HEAD, which keeps it. */
#define SK_KEEP_LENGTH 4

/* Flags of sk_req_scope. */
#define SK_SCOPE_ANCIENT 1       /* HTTP/1.0 */
#define SK_SCOPE_BODY 2          /* there is a body */
#define SK_SCOPE_BODY_HERE 4     /* and on_body will be called as soon as the request callback returns, if it asks for it */
#define SK_SCOPE_ENCODED 8       /* the path has escapes, or bytes outside ASCII */
#define SK_SCOPE_TRAILERS 16     /* the client takes trailer fields */
#define SK_SCOPE_OTHER_SCHEME 32 /* a trusted proxy says https and the app speaks plain HTTP, or the other way round */
/* Only of sk_req_scope: the target that was sent is not what path and query say, see sk_req_sent_target. */
#define SK_SCOPE_SENT_TARGET 64
#define SK_SCOPE_HTTP_2 128   /* HTTP/2 */
#define SK_SCOPE_RECEIVED 256 /* only of SK_ASGI_TAKE_OVER: the application has received the whole body, or that there is none */

/* The lines of sk_req_scope. */
enum {
  SK_SCOPE_LINE_FLAGS, /* a character: SK_SCOPE_FLAGS_BASE plus SK_SCOPE_*, modulo SK_SCOPE_FLAGS_MODULUS */
  SK_SCOPE_LINE_METHOD,
  SK_SCOPE_LINE_PATH,
  SK_SCOPE_LINE_QUERY,
  /* "host port host port": the client as a PROXY header or the socket says, and this server; nothing for Unix-domain sockets but
   * the path of the server's, as SK_SCOPE_LOCAL_PATH and hexadecimal digits. */
  SK_SCOPE_LINE_ENDS,
  /* Where a trusted proxy says that the application is mounted. */
  SK_SCOPE_LINE_PREFIX,
  /* From here on, name and value of each field. */
  SK_SCOPE_LINE_FIELDS
};
/* So that the character is never an LF: no request is of two versions. */
#define SK_SCOPE_FLAGS_BASE 11
#define SK_SCOPE_FLAGS_MODULUS 256
#define SK_SCOPE_LOCAL_PATH "unix:"

/* Flags of sk_req_dump. */
#define SK_DUMP_ANCIENT 1
#define SK_DUMP_SECURE 2

/* Where a callback returns its receipt, that says that it ran to its end: a small number, another one at each call. When a
 * function in Python raises, or cannot even begin, ctypes returns whatever lay there, which may be the result of the call before.
 */

/* Called once per request, on the loop's thread, with the response's handle. Returns the receipt when the handler took the request
 * and SK_PASSED_ON more to pass it on to the next matching route. After anything else the request fails. */
typedef int32_t (*sk_request_fn)(uint32_t handle, int32_t receipt);
#define SK_PASSED_ON 1
/* The client left before the response ended; the handle is stale from now on. */
typedef void (*sk_abort_fn)(uint32_t handle);
/* A piece of the request's body, valid during the call. `last` is 1 with the final piece, which may be empty. Returns the receipt
 * when the piece was taken; after anything else the connection is cut, as no body may have a hole. */
typedef int32_t (*sk_body_fn)(uint32_t handle, const char *data, size_t length, int32_t last, int32_t receipt);
/* Nothing was written for too long; who is called ends the response, else the connection is cut. */
typedef void (*sk_timeout_fn)(uint32_t handle);
/* The connection takes data once more. */
typedef void (*sk_writable_fn)(uint32_t handle);
/* The last connection of an app that drains is closed. */
typedef void (*sk_drained_fn)(void);
/* Clients wait to be accepted, at each attempt while it is so: `waiting` of them, or -1 when the system only says that somebody
 * does. `reason` is 0 at max_connections, else the errno of what the system refuses. */
typedef void (*sk_waiting_fn)(int32_t reason, int32_t waiting);
/* A client asked for a server name that has no certificate; sk_app_tls may add one now. */
typedef void (*sk_tls_missing_fn)(const char *name, size_t length);

/* Whether clients are asked for a certificate. */
enum {
  SK_TLS_CLIENT_NONE,     /* no */
  SK_TLS_CLIENT_OPTIONAL, /* yes, and it is checked if there is one */
  SK_TLS_CLIENT_REQUIRED  /* yes, and there must be one */
};

/* Certificates and choices of TLS. Text ends with NUL, is not kept, and is NULL for what is not given; files hold PEM. */
typedef struct sk_tls_options {
  /* Paths one behind the other, each ended by NUL, and an empty one at last; as many keys as certificates. */
  const char *key_files;
  const char *cert_files;
  const char *passphrase;
  const char *dh_params_file;
  const char *ca_file;
  const char *crl_file;         /* what those who signed certificates of clients have revoked */
  const char *ciphers;          /* of TLS 1.2; empty for TLS 1.3 only */
  const char *ciphersuites;     /* of TLS 1.3 */
  int32_t client_certificate;   /* SK_TLS_CLIENT_* */
  int32_t minimum_version;      /* as records say it, 0x0303 for TLS 1.2; 0 for that */
  int32_t maximum_version;      /* 0 for the newest */
  int32_t low_memory;           /* 1 to free the buffers of connections that wait */
  uint32_t handshake_timeout_s; /* 0 for no limit; only of the app itself */
} sk_tls_options;

/* What clients may speak. */
enum {
  SK_HTTP_AUTO, /* HTTP/1.1, and HTTP/2: where TLS agrees on it, or in clear by prior knowledge */
  SK_HTTP_1,    /* HTTP/1.1 only */
  SK_HTTP_2     /* HTTP/2 only */
};

/* Whether connections begin with a header of the PROXY protocol, in front of TLS where there is TLS: never, perhaps, or always. */
enum { SK_PROXY_OFF, SK_PROXY_OPTIONAL, SK_PROXY_REQUIRED };

/* Everything an app knows from birth. Text is copied. */
typedef struct sk_app_options {
  uint64_t max_body_bytes;            /* larger bodies get 413; UINT64_MAX for no limit */
  uint32_t max_target_bytes;          /* longer request targets get 414 */
  uint32_t max_header_bytes;          /* larger header sections get 431 */
  uint32_t max_header_count;          /* more fields get 431 */
  uint32_t max_chunk_extension_bytes; /* longer extensions of a chunk get 431 */
  uint32_t max_trailer_bytes;         /* larger trailer sections get 431 */
  uint32_t header_timeout_s;          /* a request's head that takes longer gets 408; 0 for ever */
  uint32_t body_timeout_s;            /* so long a body may bring less than the following rate, then 408; 0 for ever */
  uint32_t min_body_bytes_per_s;
  uint32_t write_timeout_s;         /* a client that reads nothing for so long is cut; 0 for ever */
  uint32_t response_timeout_s;      /* a response of which nothing is written for so long gets on_timeout; 0 for ever */
  uint32_t keep_alive_timeout_s;    /* seconds an idle connection is kept; 0 for ever */
  uint32_t max_connections;         /* at this number accepting pauses; 0 for no limit */
  uint32_t max_concurrent_requests; /* beyond it, websockets included, requests get 503; 0 for no limit */
  uint32_t backlog;                 /* of the listening sockets */
  uint32_t max_streams;             /* of a connection of HTTP/2 at a time; further ones are refused */
  uint32_t max_backpressure_bytes;  /* no further request of a connection is read while it owes more than this */
  int32_t http_version;             /* SK_HTTP_* */
  int32_t date_header;              /* 1 to send Date */
  int32_t proxy_protocol;           /* whether connections begin with a header of the PROXY protocol: SK_PROXY_* */
  const char *server_header;        /* value of the Server field, or NULL to send none */
  size_t server_header_length;
  sk_request_fn on_missing;      /* no route matched; NULL when the next one is given */
  const void *on_missing_object; /* called by CPython with the handle; or NULL */
  sk_abort_fn on_abort;
  sk_body_fn on_body;
  sk_writable_fn on_writable;
  sk_timeout_fn on_timeout;
  sk_drained_fn on_drained;
  sk_waiting_fn on_waiting;
} sk_app_options;

typedef struct sk_app sk_app;

/* ---- Library ---------------------------------------------------------------------------------------------------- */

/* A number made of all that these headers declare: who was made from others must not use this library. */
SK_API uint64_t sk_abi_digest(void);
/* A number made of the values of all constants here, and of where the compiler puts the members of all structs. */
SK_API uint64_t sk_abi_layout(void);

/* ---- Event loop: one per thread, created by the first call that needs it ----------------------------------------- */

/* What watches descriptors: SOCKETIFY_BACKEND of the environment names one. */
#define SK_BACKEND_EPOLL 0
#define SK_BACKEND_IO_URING 1
#define SK_BACKEND_KQUEUE 2
#define SK_BACKEND_UNKNOWN (-1)     /* the name is none that this system has: "epoll", "io_uring"; "kqueue" on macOS */
#define SK_BACKEND_UNAVAILABLE (-2) /* the kernel refuses the named one */
/* What the next loop will have. Where it is an error, there must be no next loop. */
SK_API int32_t sk_backend(void);
/* Why the kernel refuses io_uring, as an errno; 0 when it does not. */
SK_API int32_t sk_backend_refusal(void);
/* What this thread's loop has. */
SK_API int32_t sk_loop_backend(void);
/* Makes the loop of this thread where it has none: SK_OK, or why not as a negative errno, as sk_loop_backend and sk_loop_fd. */
SK_API int32_t sk_loop_open(void);
/* The descriptor that is readable whenever sk_loop_pump has something to do. */
SK_API int32_t sk_loop_fd(void);
/* Handles everything that is ready, without waiting. SK_BUSY when called from inside itself. */
SK_API int32_t sk_loop_pump(void);
/* From now on SK_PYTHON_WAIT is what waits, also for this descriptor: of another loop of the thread, which must not watch that of
 * sk_loop_fd meanwhile. 0 when the kernel refuses. */
SK_API int32_t sk_loop_lead(int32_t fd);
/* It is driven by sk_loop_fd and sk_loop_pump again. */
SK_API void sk_loop_follow(void);
/* The address of this thread's scratch buffer of SK_SCRATCH_BYTES. */
SK_API char *sk_loop_scratch(void);
/* In the child of a fork: leaves the parent's loop alone, with everything that was on it; the next call makes a new one. */
SK_API void sk_loop_forget(void);

/* ---- CPython ----------------------------------------------------------------------------------------------------- */

#include "socketify_python.h"

/* ---- App --------------------------------------------------------------------------------------------------------- */

/* NULL when memory or descriptors are exhausted. */
SK_API sk_app *sk_app_create(const sk_app_options *options);

/* Adds a handler for a method ("*" for every one) and pattern. Handlers of the same method and pattern are asked in the
 * order of their adding. With an `object`, CPython calls that instead of the handler, which is NULL then. `host` (lower case, may
 * be empty, may be a wildcard as "*.example.org") limits the route to requests for that host name. */
SK_API void sk_app_route(sk_app *app, const char *host, size_t host_length, const char *method, size_t method_length,
                         const char *pattern, size_t pattern_length, sk_request_fn handler, const void *object);
/* Likewise, with a handler in Python whose objects the caller keeps alive. After sk_python_response. */
SK_API void sk_app_route_exchange(sk_app *app, const char *host, size_t host_length, const char *method, size_t method_length,
                                  const char *pattern, size_t pattern_length, const sk_exchange_handler *handler);
/* Forgets the routes of one host name. */
SK_API void sk_app_remove_host(sk_app *app, const char *host, size_t host_length);
/* Accepts from a descriptor that listens already; it is duplicated. `shared` when other processes may accept from it, too. Returns
 * SK_OK or a negated errno. */
SK_API int32_t sk_app_listen_fd(sk_app *app, int32_t fd, int32_t shared);
/* Accepts no more, from any descriptor. Connections that exist live on. */
SK_API void sk_app_stop_listening(sk_app *app);
#define SK_TLS_LOADED 1
#define SK_TLS_ABSENT 0        /* there is no such library */
#define SK_TLS_TOO_OLD (-1)    /* it has no OpenSSL 3 */
#define SK_TLS_INCOMPLETE (-2) /* that lacks functions */
/* Loads OpenSSL 3 from a library, or from one that it needs: SK_TLS_LOADED, or why not. The path ends with NUL; an empty one means
 * the program itself. Any thread may call it. */
SK_API int32_t sk_tls_load(const char *path);
/* 1 when a cipher's name or keyword (NUL-terminated) means something in TLS 1.2. After sk_tls_load. */
SK_API int32_t sk_tls_knows_cipher(const char *name);
/* What can be wrong with options of TLS. */
enum {
  SK_TLS_MEMORY = 1,
  SK_TLS_CERTIFICATE,
  SK_TLS_CERTIFICATE_EXPIRED,
  SK_TLS_CERTIFICATE_EARLY,
  SK_TLS_KEY,
  SK_TLS_PASSPHRASE_MISSING,
  SK_TLS_PASSPHRASE_WRONG,
  SK_TLS_KEY_MISMATCH, /* key and certificate are no pair */
  SK_TLS_DH_PARAMS,
  SK_TLS_CA,
  SK_TLS_CIPHERS,      /* of TLS 1.2 */
  SK_TLS_CIPHERSUITES, /* of TLS 1.3 */
  SK_TLS_SAME_KIND,    /* two keys are of one kind */
  SK_TLS_CRL,
  SK_TLS_VERSIONS
};
/* It is added so often as the index of the certificate says. */
#define SK_TLS_INDEX_STEP 256
/* Bytes of the reason in the scratch buffer, with the NUL that ends it. */
#define SK_TLS_REASON_BYTES 256
/* Makes the app's listeners speak TLS, or changes the certificate of future connections: all of them, or those that ask for
 * a host name (lower case, may be a wildcard). Returns 0, or SK_TLS_MEMORY and so on, plus SK_TLS_INDEX_STEP times the index of the
 * certificate: then the scratch buffer holds the reason. After sk_tls_load. */
SK_API int32_t sk_app_tls(sk_app *app, const char *host, size_t host_length, const sk_tls_options *options);
/* Forgets the certificate of a host name. */
SK_API void sk_app_tls_remove(sk_app *app, const char *host, size_t host_length);
/* `callback` may be NULL. Only after sk_app_tls. */
SK_API void sk_app_tls_on_missing(sk_app *app, sk_tls_missing_fn callback);
/* Handshakes that failed since the app exists. */
SK_API uint64_t sk_app_tls_failures(sk_app *app);
/* How hard an app drains. */
enum {
  /* Clients that were heard of within the last seconds, or sent half a head, may send a request; handshakes of websockets are
   * answered. */
  SK_DRAIN_PATIENT = 0,
  /* Connections without a whole request head are closed. */
  SK_DRAIN_REQUESTS = 1,
  /* And websockets whose close frame has left. */
  SK_DRAIN_WEBSOCKETS = 2
};
/* Accepts all that wait, as far as there is room: those whom sk_app_drain finds there are refused. `shared` also at descriptors
 * from which other processes accept, too. */
SK_API void sk_app_accept_waiting(sk_app *app, int32_t shared);
/* Stops listening, closes idle connections of which nothing is unread, ends websockets (1001), and lets the others end with their
 * response (Connection: close). To be called repeatedly, as hard or harder, until none is open. Returns how many are, or, where
 * none is, how many shake hands for one; on_drained is called when the last of them closes. */
SK_API int32_t sk_app_drain(sk_app *app, int32_t stage);
/* Calls back, once, after so many more requests. */
SK_API void sk_app_limit_requests(sk_app *app, uint64_t count, sk_drained_fn callback);
/* Number of open connections. */
SK_API uint32_t sk_app_connections(sk_app *app);
/* Closes every listener and connection; pending responses are aborted. */
SK_API void sk_app_close(sk_app *app);
/* Closes and frees, on the app's own thread. SK_BUSY while the loop runs callbacks: then nothing was done. Never from inside a
 * callback that the app calls outside of them. */
SK_API int32_t sk_app_destroy(sk_app *app);

/* ---- Request: only inside the request callback of the same handle, also after its response ended; SK_STALE after it ---- */

SK_API SK_UNCHECKED int32_t sk_req_method(uint32_t handle);
SK_API SK_UNCHECKED int32_t sk_req_url(uint32_t handle);
SK_API SK_UNCHECKED int32_t sk_req_full_url(uint32_t handle);
/* Everything at once, as lines separated by LF: SK_DUMP_* as a number, method, full URL, number of parameters, each parameter, then
 * name and value of each field. No part can hold an LF. */
SK_API int32_t sk_req_dump(uint32_t handle);
/* Everything as interfaces between servers and applications want it: SK_SCOPE_LINE_*. */
SK_API int32_t sk_req_scope(uint32_t handle);
/* The target as it was sent, with scheme and authority of absolute-form. */
SK_API int32_t sk_req_sent_target(uint32_t handle);
/* SK_ABSENT without such a field. `name` is in lower case. */
SK_API SK_UNCHECKED int32_t sk_req_header(uint32_t handle, const char *name, int32_t length);
/* The methods that routes take for this URL, with commas between; empty when there are none. Only for requests that no route
 * took: asking the routes forgets the parameters. */
SK_API int32_t sk_req_allowed_methods(uint32_t handle);
/* 1 for HTTP/1.0, 0 for HTTP/1.1. */
SK_API int32_t sk_req_is_ancient(uint32_t handle);
/* The version, of which the last digit is the minor one: 10, 11, or 20 for HTTP/2. */
SK_API int32_t sk_req_version(uint32_t handle);
/* SK_ABSENT beyond the last parameter. */
SK_API int32_t sk_req_parameter(uint32_t handle, int32_t index);
/* 1 when the client speaks TLS, with us or with a trusted proxy. */
SK_API int32_t sk_req_is_secure(uint32_t handle);

/* ---- Response ------------------------------------------------------------------------------------------------------
 * `head` is the status line's code and reason, then name and value of each field, all separated by LF (no LF at the end);
 * empty for "200 OK" without fields. `fields` is the number of fields, which proves that no part holds an LF.
 * After the head was sent by sk_res_write or sk_res_try_end, head must be empty. */

/* How owners of bytes are referred to, by sk_lend and by the functions of socketify_python.h, before any of them: addresses of
 * functions that take an owner, as Py_IncRef and Py_DecRef. */
SK_API void sk_lend_by(const void *retain, const void *release);
/* What is sent of these bytes until the next call of this function, and has to wait, is not copied if it is large: the owner is
 * referred to meanwhile, and neither moves nor changes them. NULL for nothing. */
SK_API void sk_lend(const void *owner, const char *data, size_t length);

/* The whole response in one packet. */
SK_API int32_t sk_res_send(uint32_t handle, const char *head, int32_t head_length, int32_t fields, const char *body,
                           size_t body_length, int32_t flags);
/* A piece of a body of unknown length: chunked, or ended by close for HTTP/1.0. */
SK_API int32_t sk_res_write(uint32_t handle, const char *head, int32_t head_length, int32_t fields, const char *data,
                            size_t length);
/* The same, but a Content-Length among the fields sizes the body: SK_BAD_LENGTH when a piece goes beyond it. sk_res_send
 * ends either. */
SK_API int32_t sk_res_stream(uint32_t handle, const char *head, int32_t head_length, int32_t fields, const char *data,
                             size_t length);
/* What was written leaves now, and not when the callback returns. SK_OK, SK_BUFFERED when the client has to read first, or SK_GONE,
 * also when the client cut the connection and on_abort is still to come. */
SK_API SK_UNCHECKED int32_t sk_res_flush(uint32_t handle);
/* Ends a body with trailer fields, which HTTP/1.0, and in HTTP/1.1 a body of known length, cannot have: then they are left out.
 * The status of the block counts for nothing, here and in sk_res_early_hints. */
SK_API int32_t sk_res_end_trailers(uint32_t handle, const char *head, int32_t head_length, int32_t fields);
/* An informational 103 (Early Hints, RFC 8297). SK_BUSY after the head, and for HTTP/1.0. */
SK_API int32_t sk_res_early_hints(uint32_t handle, const char *head, int32_t head_length, int32_t fields);
/* Writes what fits of a body of total_length bytes; `data` continues at the write offset. Returns SK_GONE, SK_BAD_HEAD, or
 * SK_TRIED with its flags. */
SK_API int32_t sk_res_try_end(uint32_t handle, const char *head, int32_t head_length, int32_t fields, const char *data,
                              size_t length, uint64_t total_length, int32_t flags);
/* Asks for the body: on_body is called at once with what is here, and later with the rest.
 * SK_OK, or SK_ABSENT when there is none or it was delivered already. */
SK_API int32_t sk_res_read_body(uint32_t handle);
/* How many bytes sk_res_read_body would lead to, as the client declared them; SK_ABSENT when it did not, or when that would be
 * none. */
SK_API int64_t sk_res_body_length(uint32_t handle);
/* An informational 100 (Continue). */
SK_API int32_t sk_res_write_continue(uint32_t handle);
/* Asks for on_writable when the connection takes data once more. */
SK_API int32_t sk_res_want_writable(uint32_t handle);
/* The connection's descriptor, for sendfile(2) to a duplicate of it: only while a body of announced length is sent, nothing
 * waits in memory, and the connection is not encrypted (which the caller knows). Else SK_BUSY, or SK_STALE. */
SK_API int32_t sk_res_descriptor(uint32_t handle);
/* Counts what was sent so; SK_BAD_LENGTH when it goes beyond the announced length. */
SK_API int32_t sk_res_count_sent(uint32_t handle, uint64_t length);
/* Asks for on_writable when the kernel takes data, also when nothing of ours waits. */
SK_API int32_t sk_res_await_room(uint32_t handle);
/* Bytes of the body that try_end took so far; SK_NO_OFFSET when stale. */
SK_API uint64_t sk_res_write_offset(uint32_t handle);
/* Bytes that wait in memory for the client to read, or SK_ABSENT when stale. */
SK_API int64_t sk_res_buffered_bytes(uint32_t handle);
/* Packs what follows into one packet until sk_res_uncork. SK_BUSY when it is packed already. */
SK_API int32_t sk_res_cork(uint32_t handle);
SK_API int32_t sk_res_uncork(uint32_t handle);
/* Stops and continues reading from the connection. */
SK_API int32_t sk_res_pause(uint32_t handle);
SK_API int32_t sk_res_resume(uint32_t handle);
/* Cuts the connection; on_abort is called. */
SK_API int32_t sk_res_close(uint32_t handle);
/* 1 when the head is out, else 0. */
SK_API int32_t sk_res_has_begun(uint32_t handle);
/* For a handler whose failure nobody can handle: 500, or the cut when the head is out. */
SK_API int32_t sk_res_fail(uint32_t handle);
/* The packed address of the client (4 or 16 bytes; empty for Unix-domain sockets), as a trusted proxy says (sk_app_trust). */
SK_API int32_t sk_res_remote_address(uint32_t handle);
/* The client's certificate as DER; SK_ABSENT without one. */
SK_API int32_t sk_res_client_certificate(uint32_t handle);
/* A number that no other TLS connection of this thread ever has; 0 without TLS and when stale. */
SK_API uint64_t sk_res_tls_number(uint32_t handle);
/* What TLS agreed on, big-endian: version and cipher suite in 16 bits each, then blocks that begin with their length in 32 bits:
 * the server's certificate as DER (empty without one), and for a client with a certificate its subject (RFC 4514), then the
 * chain as DER, its own first. */
SK_API int32_t sk_res_tls_facts(uint32_t handle);

/* ---- Observing -------------------------------------------------------------------------------------------------- */

#include "socketify_observing.h"

/* ---- Compression ------------------------------------------------------------------------------------------------ */

#include "socketify_compression.h"

/* ---- WebSocket ---------------------------------------------------------------------------------------------------- */

#include "socketify_websocket.h"

/* ---- Metrics ------------------------------------------------------------------------------------------------------ */

#include "socketify_metrics.h"

#ifdef __cplusplus
}
#endif
#endif
