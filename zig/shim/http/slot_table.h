/* The table that turns handles into live connections.
 *
 * A handle is generation (12 bits) over slot (20 bits). A slot belongs to one connection; its generation moves on with every
 * request, so a handle kept too long no longer matches and is recognised as stale. */
#ifndef SK_HTTP_SLOT_TABLE_H
#define SK_HTTP_SLOT_TABLE_H

#include <cstddef>
#include <cstdint>

namespace uWS {
template <bool> struct AsyncSocket;
struct HttpRequest;
} // namespace uWS

namespace sk {

struct App;
class HeldBody;
struct WebSocketRoute;

constexpr uint32_t SLOT_BITS = 20;
constexpr uint32_t SLOT_COUNT = 1u << SLOT_BITS;

enum class Kind : uint8_t { Free, Http, WebSocket };

/* What is known of the current request and response of a connection. */
enum Flag : uint16_t {
  PENDING = 1,          /* the response has not ended */
  HEAD_REQUEST = 2,     /* HEAD: no body whatever the handler sends */
  ANCIENT = 4,          /* HTTP/1.0: no chunked coding */
  HEAD_SENT = 8,        /* status line and fields are out */
  SIZED = 16,           /* the head announced a Content-Length */
  BODILESS = 32,        /* the answer has no body: HEAD, 204, 205, 304 */
  HAS_BODY = 64,        /* the request carries content */
  BODY_WANTED = 128,    /* the handler asked for it */
  BODY_DONE = 256,      /* all of it was delivered */
  EXPECTS_100 = 512,    /* the client waits for 100 (Continue) */
  HOLD_PAUSED = 1024,   /* reading stopped because nobody asked for the body yet */
  PIPELINE_HELD = 2048, /* further requests wait for this response, reading stopped */
  USER_PAUSED = 4096,   /* the handler stopped reading, until it goes on or its response ends */
  BODY_RECEIVED = 8192, /* all of it arrived from the client */
  HEAD_BEGUN = 16384,   /* the clock of the next request's head runs */
  TUNNEL = 32768        /* CONNECT: what follows a 2xx is no HTTP */
};

/* The same word in a websocket's slot. */
enum WebSocketFlag : uint16_t {
  WS_CLOSED = 1,   /* close handshake begun, or connection lost: nothing can be sent */
  WS_PAUSED = 2,   /* reading stopped */
  WS_FORGETS = 8,  /* its own compressor begins every message anew */
  WS_FRAGMENTS = 4 /* between the fragments of a message that we send */
};

struct Slot {
  uWS::AsyncSocket<false> *socket;
  App *app;
  uWS::HttpRequest *request; /* only while its handler runs */
  union {
    HeldBody *held;        /* Http: body that arrived before the handler asked for it */
    WebSocketRoute *route; /* WebSocket */
  };
  const void *owner; /* thread that runs the connection's loop: its marker */
  union {
    uint64_t total_length; /* Http: of a sized response */
    const void *object;    /* WebSocket: what stands for it in Python, which keeps it alive; or null */
  };
  uint32_t generation;
  uint32_t next_free;
  uint32_t request_handle; /* under which `request` can be read, also after the response ended */
  uint16_t flags;
  Kind kind;
  bool stream : 1;        /* Http: of a connection of HTTP/2, for one request */
  bool version_begun : 1; /* Http: the first byte of the response left before its head */
};
static_assert(sizeof(Slot) <= 64);

/* Tells the current thread from all others. */
const void *threadMarker();

/* Index of a fresh slot, or SLOT_COUNT when all are taken. Thread-safe. */
uint32_t allocateSlot();
void releaseSlot(uint32_t index);

Slot &slotAt(uint32_t index);
uint32_t indexOf(const Slot &slot);
uint32_t handleOf(const Slot &slot);

/* Ends the validity of all handles of the slot. */
void invalidateHandles(Slot &slot);

/* The live slot of a handle, or nullptr when it is stale or belongs to another thread. */
Slot *findSlot(uint32_t handle);
Slot *findHttpSlot(uint32_t handle);
/* The request whose handler runs now, or nullptr when the handle is not its own. */
uWS::HttpRequest *findRequest(uint32_t handle);
Slot *findWebSocketSlot(uint32_t handle);

} // namespace sk
#endif
