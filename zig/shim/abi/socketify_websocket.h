/* The part of socketify.h that is about websockets. Included by socketify.h, whose rules are these too. */
#ifndef SOCKETIFY_WEBSOCKET_H
#define SOCKETIFY_WEBSOCKET_H

#ifndef SOCKETIFY_H
#error "include socketify.h"
#endif

/* Opcodes of websockets (RFC 6455 section 5.2). */
#define SK_WS_CONTINUATION 0
#define SK_WS_TEXT 1
#define SK_WS_BINARY 2
#define SK_WS_CLOSE 8
#define SK_WS_PING 9
#define SK_WS_PONG 10
#define SK_WS_OPCODE_MASK 15
/* Flags of sk_ws_send, beside the opcode. */
#define SK_WS_COMPRESS 16 /* where it was negotiated; fragments never are compressed */
#define SK_WS_MORE 32     /* fragments follow */
/* A flag of sk_ws_publish. */
#define SK_WS_EXCLUDE_SELF 64
/* Close codes (RFC 6455 section 7.4.1, and its erratum 3473). */
#define SK_WS_CODE_NORMAL 1000
#define SK_WS_CODE_GOING_AWAY 1001
#define SK_WS_CODE_ABNORMAL 1006
#define SK_WS_CODE_TOO_BIG 1009
#define SK_WS_CODE_INTERNAL_ERROR 1011
/* Bytes of the reason of a close frame, and of the name of a topic. */
#define SK_WS_REASON_MAX 123
#define SK_WS_TOPIC_MAX 65535
/* How topics begin that are for the framework, where they are watched. */
#define SK_WS_TOPICS_RESERVED "$socketify."
/* What idle_timeout_s and max_lifetime_min of a route may be, besides 0. */
#define SK_WS_IDLE_TIMEOUT_MIN 8
#define SK_WS_IDLE_TIMEOUT_MAX 960
#define SK_WS_LIFETIME_MAX 240

/* A websocket is open; the handle is its own from now on. */
typedef void (*sk_ws_open_fn)(uint32_t handle);
/* A message, valid during the call; one of up to SK_WS_SCRATCH_BYTES lies in the scratch buffer too. Returns the receipt when it
 * was taken; after anything else the websocket ends with SK_WS_CODE_INTERNAL_ERROR, as nobody may take the messages that follow for
 * all there are. */
typedef int32_t (*sk_ws_message_fn)(uint32_t handle, const char *data, size_t length, int32_t opcode, int32_t receipt);
/* A ping or pong, in the scratch buffer. */
typedef void (*sk_ws_control_fn)(uint32_t handle, size_t length);
/* The websocket is closed, with the peer's code or the one of what went wrong; the handle is stale after the call. */
typedef void (*sk_ws_close_fn)(uint32_t handle, int32_t code, const char *reason, size_t length);
/* A websocket joined or left a topic, which had `before` subscribers and has `count` now. */
typedef void (*sk_ws_subscription_fn)(uint32_t handle, const char *topic, size_t length, int32_t count, int32_t before);

/* There is something for sk_app_take_topics; called once until all was taken. */
typedef void (*sk_topics_fn)(void);

/* How the websockets of a route behave. Callbacks may be NULL where that is said. */
typedef struct sk_ws_behavior {
  uint32_t compression;                /* the engine's CompressOptions */
  uint32_t max_payload_bytes;          /* larger messages fail the connection with 1009 */
  uint32_t idle_timeout_s;             /* 0 for none */
  uint32_t max_backpressure_bytes;     /* further messages are dropped; 0 for no limit */
  uint32_t max_lifetime_min;           /* 0 for no limit */
  int32_t close_on_backpressure_limit; /* 1 to close instead */
  int32_t reset_idle_timeout_on_send;
  int32_t send_pings_automatically;
  sk_request_fn on_upgrade;      /* NULL when the next one is given, or to upgrade every valid request at once */
  const void *on_upgrade_object; /* called by CPython with the handle; or NULL */
  sk_ws_open_fn on_open;         /* only for upgrades without on_upgrade */
  sk_ws_message_fn on_message;   /* NULL when the next one is given */
  const void *on_message_object; /* called by CPython with handle, message and opcode; or NULL */
  /* Called instead, with the websocket of the session, message and opcode's object, while that has neither iteration nor waiting
   * handler (see sk_ws_python); or NULL. What it returns, if it means anything, and what it raises goes to the next one. */
  const void *on_message_handler;
  /* Called with the session (or, once the connection has ended, with what the handler was called with), the result and the
   * exception, one of which is None. */
  const void *on_message_result;
  sk_ws_control_fn on_ping; /* or NULL */
  sk_ws_control_fn on_pong; /* or NULL */
  sk_writable_fn on_drain;  /* or NULL */
  sk_ws_close_fn on_close;
  sk_ws_subscription_fn on_subscription; /* or NULL */
} sk_ws_behavior;

/* Looks for zlib, without which no route compresses; `path` (NUL-terminated, may be NULL) is tried after the system's usual
 * names. 1 when it is there. Any thread may call it. */
SK_API int32_t sk_zlib_load(const char *path);
/* Adds a websocket route. It is asked before the GET routes of the same pattern, and passes on every request that is not an
 * upgrade to websocket (RFC 6455 section 4.2.1). Returns its number, or SK_BUSY when memory is exhausted. */
SK_API int32_t sk_app_ws(sk_app *app, const char *host, size_t host_length, const char *pattern, size_t pattern_length,
                         const sk_ws_behavior *behavior);
/* Sends to all subscribers of a topic. 1 when there are any, else 0; SK_BAD_HEAD for an opcode that is not TEXT or BINARY. */
SK_API int32_t sk_app_publish(sk_app *app, const char *topic, size_t topic_length, const char *data, size_t length, int32_t flags);
SK_API uint32_t sk_app_num_subscribers(sk_app *app, const char *topic, size_t topic_length);
/* Watches which topics get their first subscriber and lose their last one; before the first websocket. */
SK_API void sk_app_watch_topics(sk_app *app, sk_topics_fn on_change);
/* Puts topics of which that may have changed into the scratch buffer, and returns the length; 0 when all was taken. Each is a byte,
 * 1 when it has subscribers, the length of its name (two bytes, little endian), and its name. */
SK_API int32_t sk_app_take_topics(sk_app *app);
/* Answers 101 and makes the connection a websocket of a route of the same app. `head` holds further fields of the response,
 * as everywhere but without a status; `key`, `protocol` (the one to select, may be empty) and `extensions` are what the
 * client's fields said. Returns the websocket's handle, SK_GONE, SK_BUSY when the head was sent already, or SK_BAD_HEAD. */
SK_API int64_t sk_res_upgrade(uint32_t handle, int32_t route, const char *head, int32_t head_length, int32_t fields,
                              const char *key, int32_t key_length, const char *protocol, int32_t protocol_length,
                              const char *extensions, int32_t extensions_length);

/* The websocket's session in Python, for on_message_handler: it must live until on_close. SK_OK or SK_GONE. */
SK_API int32_t sk_ws_set_object(uint32_t handle, const void *object);
/* Sends a message or fragment: flags are the opcode and SK_WS_*. Returns SK_BUFFERED, SK_OK, SK_GONE (also when it was
 * dropped because of the backpressure limit), or SK_BAD_HEAD for an opcode or length that cannot be sent now. */
SK_API int32_t sk_ws_send(uint32_t handle, const char *data, size_t length, int32_t flags);
/* The close handshake; at most SK_WS_REASON_MAX bytes of the reason are sent. 0 sends no code. on_close is called at once. */
SK_API int32_t sk_ws_end(uint32_t handle, int32_t code, const char *reason, int32_t length);
/* Cuts the connection; on_close is called with 1006. */
SK_API int32_t sk_ws_close(uint32_t handle);
/* Packs what follows into one packet until sk_ws_uncork. SK_BUSY when it is packed already. */
SK_API int32_t sk_ws_cork(uint32_t handle);
SK_API int32_t sk_ws_uncork(void);
/* 1 for yes or done, 0 for no, SK_STALE. SK_BAD_HEAD for a topic to subscribe to that is too long, or reserved while topics are
 * watched. */
SK_API int32_t sk_ws_subscribe(uint32_t handle, const char *topic, int32_t length);
SK_API int32_t sk_ws_unsubscribe(uint32_t handle, const char *topic, int32_t length);
SK_API int32_t sk_ws_is_subscribed(uint32_t handle, const char *topic, int32_t length);
/* The name of the index-th topic; SK_ABSENT beyond the last one. */
SK_API int32_t sk_ws_topic(uint32_t handle, int32_t index);
/* Sends to all subscribers of a topic, with SK_WS_EXCLUDE_SELF to all but this websocket; as sk_app_publish, or SK_STALE. */
SK_API int32_t sk_ws_publish(uint32_t handle, const char *topic, int32_t topic_length, const char *data, size_t length,
                             int32_t flags);
/* Bytes that wait in memory for the peer to read, or SK_STALE. */
SK_API int64_t sk_ws_buffered_bytes(uint32_t handle);
/* Stops and continues reading; no idle time-out meanwhile. */
SK_API int32_t sk_ws_pause(uint32_t handle);
SK_API int32_t sk_ws_resume(uint32_t handle);

#endif
