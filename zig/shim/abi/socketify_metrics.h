/* The part of socketify.h that is about metrics. Included by socketify.h, whose rules are these too.
 *
 * Metrics are counted in memory that processes share: blocks of SK_METRICS_WORDS words of 64 bits. Each app that counts has a
 * block, which it alone writes; whoever has the memory may read all of them. A block that nobody counts in any more keeps its
 * counters, and whoever takes it next goes on with them: so no counter ever goes back, whichever process dies. */
#ifndef SOCKETIFY_METRICS_H
#define SOCKETIFY_METRICS_H

#ifndef SOCKETIFY_H
#error "include socketify.h"
#endif

/* The words at the begin of a block. */
enum {
  /* The process that counts here; 0 for none. */
  SK_METRIC_OWNER,
  /* SK_PHASE_* */
  SK_METRIC_PHASE,
  /* Not 0 to be told of the next request or message. */
  SK_METRIC_ASLEEP,
  SK_METRIC_IN_FLIGHT,
  SK_METRIC_CONNECTIONS,
  SK_METRIC_WEBSOCKETS,
  SK_METRIC_SUBSCRIPTIONS,
  SK_METRIC_TOPICS,
  /* How late the loop was when it was last asked. */
  SK_METRIC_LAG_NS,
  SK_METRIC_BROKER_LAG_NS,
  /* What is above ends with the process, and what follows does not. */
  SK_METRIC_USED, /* 1 for a block that somebody had: they are taken in their order */
  SK_METRIC_ACCEPTED,
  SK_METRIC_ACCEPTED_HTTP_2,
  SK_METRIC_TLS_HANDSHAKES,
  SK_METRIC_TLS_FAILURES,
  /* A connection that was closed at once, as there are no more handles. */
  SK_METRIC_REFUSED_HANDLES,
  /* How often clients had to wait to be accepted: at max_connections, or as the system had no descriptors or memory. */
  SK_METRIC_WAITED_LIMIT,
  SK_METRIC_WAITED_SYSTEM,
  /* Requests that no route was asked for: 503 of max_concurrent_requests, 408, another name's certificate, another version of
   * HTTP, and all others that could not be read or go beyond a limit. */
  SK_METRIC_REFUSED_CONCURRENCY,
  SK_METRIC_REFUSED_TIMEOUT,
  SK_METRIC_REFUSED_NAME,
  SK_METRIC_REFUSED_VERSION,
  SK_METRIC_REFUSED_REQUEST,
  /* Of responses that were not sent whole, as the client left or the connection was cut. */
  SK_METRIC_ABORTED,
  SK_METRIC_RECEIVED_BYTES,
  SK_METRIC_SENT_BYTES,
  SK_METRIC_WS_OPENED,
  SK_METRIC_WS_RECEIVED,
  SK_METRIC_WS_RECEIVED_BYTES,
  SK_METRIC_WS_SENT,
  SK_METRIC_WS_SENT_BYTES,
  /* Messages that max_backpressure kept from a client. */
  SK_METRIC_WS_DROPPED,
  SK_METRIC_PUBLISHED,
  /* What the broker did: see BrokerCounters. */
  SK_METRIC_BROKER_PUBLISHED,
  SK_METRIC_BROKER_DELIVERED,
  SK_METRIC_BROKER_LOST,
  SK_METRIC_BROKER_RECONNECTS,
  /* Workers that took the place of others. */
  SK_METRIC_RESTARTS_DEATH,
  SK_METRIC_RESTARTS_END,
  SK_METRIC_RESTARTS_ROLLING,
  SK_METRIC_COUNT
};
#define SK_METRIC_FIRST_COUNTER SK_METRIC_USED

/* The life of an app. */
enum { SK_PHASE_NONE, SK_PHASE_STARTING, SK_PHASE_SERVING, SK_PHASE_DRAINING };

/* Upper bounds of how long requests take, in microseconds; a last bucket has none. */
#define SK_METRICS_BOUNDS \
  "10 25 50 100 250 500 1000 2500 5000 10000 25000 50000 100000 250000 500000 1000000 2500000 5000000 10000000"
#define SK_METRICS_BUCKETS 20
/* The methods, in their order, that are counted each by itself; the last stands for all others. */
#define SK_METRICS_METHODS "GET HEAD POST PUT PATCH DELETE OPTIONS other"
#define SK_METRICS_METHOD_COUNT 8
/* 1xx to 5xx */
#define SK_METRICS_STATUS_COUNT 5
/* The routes of a block. The first is that of requests that no route took, the second stands for all that have no number. */
#define SK_METRICS_ROUTE_COUNT 128
#define SK_METRICS_ROUTE_NONE 0
#define SK_METRICS_ROUTE_OTHER 1
#define SK_METRICS_ROUTE_FIRST 2
/* Bytes of a route's pattern, which zeros follow; of longer ones the begin. */
#define SK_METRICS_LABEL_BYTES 128

/* Behind the first words: how late the loop was, as buckets and the sum in nanoseconds; ... */
#define SK_METRICS_LAGS SK_METRIC_COUNT
#define SK_METRICS_HISTOGRAM (SK_METRICS_BUCKETS + 1)
/* ... the same for each route: how long its requests took; ... */
#define SK_METRICS_DURATIONS (SK_METRICS_LAGS + SK_METRICS_HISTOGRAM)
/* ... for each route, method and class of statuses in turn: requests; ... */
#define SK_METRICS_REQUESTS (SK_METRICS_DURATIONS + SK_METRICS_ROUTE_COUNT * SK_METRICS_HISTOGRAM)
/* ... and the patterns of routes. */
#define SK_METRICS_LABELS (SK_METRICS_REQUESTS + SK_METRICS_ROUTE_COUNT * SK_METRICS_METHOD_COUNT * SK_METRICS_STATUS_COUNT)
#define SK_METRICS_LABEL_WORDS 16
/* Whole pages. */
#define SK_METRICS_WORDS 10240

/* The app does something again after SK_METRIC_ASLEEP was set. */
typedef void (*sk_active_fn)(void);

/* Counts in a block of this memory that nobody has, until the app is destroyed; the first block is for the supervisor. The memory
 * outlives the app. Returns the number of the block, or SK_BUSY when all are taken. Before the first connection, and once. */
SK_API int32_t sk_app_metrics(sk_app *app, void *memory, uint32_t blocks, sk_active_fn on_active);

#endif
