/* HTTP/2 of a server, without IO: zig/http2 as C++ sees it.
 *
 * A connection is fed the bytes that arrive and gives events; calls of its owner write frames into a buffer of the owner's, which
 * has to send them in that order. Nothing is called back, and no call blocks. All of it belongs to one thread: a context, and the
 * connections that were created with it. Time is given in milliseconds of any clock that does not go back.
 *
 * A turn of the loop:
 *
 *     HttpText input{bytes, length};
 *     Http2Event event;
 *     while (http2_receive(connection, &input, now, &event)) {
 *       ...                          // what the event asks for; heads and content are appended to an output
 *     }
 *     while (uint32_t stream = http2_next(connection)) {
 *       ...                          // http2_data with what waits of it, as long as there is room
 *     }
 *     http2_flush(connection, &output);
 *     ...                            // send the output; close when http2_is_finished and all was sent
 *
 * What an event refers to (head, data, protocol, scheme) is valid until the next http2_receive or http2_tick for any connection of
 * the same context; a piece of content lies in the input. Calls that send may be made between two steps, also for other
 * connections. */
#ifndef HTTP2_H
#define HTTP2_H

#include "HttpParser.h"

#include <cstddef>
#include <cstdint>

struct Http2Context;
struct Http2Connection;

/* RFC 9113 section 7. */
enum Http2ErrorCode : uint32_t {
  HTTP2_NO_ERROR = 0x0,
  HTTP2_PROTOCOL_ERROR = 0x1,
  HTTP2_INTERNAL_ERROR = 0x2,
  HTTP2_FLOW_CONTROL_ERROR = 0x3,
  HTTP2_SETTINGS_TIMEOUT = 0x4,
  HTTP2_STREAM_CLOSED = 0x5,
  HTTP2_FRAME_SIZE_ERROR = 0x6,
  HTTP2_REFUSED_STREAM = 0x7,
  HTTP2_CANCEL = 0x8,
  HTTP2_COMPRESSION_ERROR = 0x9,
  HTTP2_CONNECT_ERROR = 0xa,
  HTTP2_ENHANCE_YOUR_CALM = 0xb,
  HTTP2_INADEQUATE_SECURITY = 0xc,
  HTTP2_HTTP_1_1_REQUIRED = 0xd
};

/* zig/http2/limits.zig holds the same struct, and says what each of them ends in. */
struct Http2Limits {
  uint32_t maxTargetBytes, maxHeaderListBytes, maxHeaderCount, maxContinuationFrames;
  uint32_t maxTableBytes, maxEncoderTableBytes;
  uint32_t maxConcurrentStreams;
  uint32_t streamWindow, connectionWindow;
  uint32_t maxResetsPerS, maxPingsPerS, maxSettingsPerS, maxEmptyFramesPerS, maxWindowUpdatesPerS, maxIgnoredFramesPerS;
  uint32_t maxControlBytes;
  uint32_t stallTimeoutMs, settingsTimeoutMs, shutdownTimeoutMs;
  bool enableConnectProtocol;
  uint64_t maxBody;
};

enum Http2EventKind : uint32_t {
  HTTP2_NONE = 0,
  /* A request: head, scheme, protocol where it is an extended CONNECT (RFC 8441); ends where no content follows. Of the head:
   * - Host is the first field, whatever way it came; cookies are joined; names are in lower case.
   * - `chunked` stands for content whose length is not declared, so that hasBody() says what it says for HTTP/1.1.
   * - the target of a CONNECT that is not extended is its authority. */
  HTTP2_REQUEST = 1,
  /* A piece of content: data, which may be empty with the end. Its owner calls http2_consumed when it has taken it. */
  HTTP2_DATA = 2,
  /* The end of the content, with trailers: the fields of head. */
  HTTP2_TRAILERS = 3,
  /* The stream is gone, reset by the peer (code), or by us for a fault of the peer or a limit. Nothing can be sent on it. */
  HTTP2_RESET = 4,
  /* The request is answered with an error, which the owner sends as it would send any response: refusal is an HttpError. What comes
   * of its content is discarded. begins: it was not announced as a request before; then head is as complete as it could be,
   * and has no method and target for 431. */
  HTTP2_REFUSED = 5,
  HTTP2_SETTINGS_ACKNOWLEDGED = 6,
  /* The answer to http2_ping: data has its eight bytes. */
  HTTP2_PONG = 7,
  /* The peer opens no more streams: code. Those that are open go on. */
  HTTP2_GOAWAY = 8,
  /* The connection is over: code. What http2_flush gives is sent, then it is closed. Its streams are found with http2_each. */
  HTTP2_FAILED = 9
};

struct Http2Event {
  Http2EventKind kind;
  uint32_t stream;
  uint32_t code;
  int32_t refusal;
  bool ends, begins, extended;
  /* RFC 9218: 0 is the most urgent. */
  uint8_t urgency;
  bool incremental;
  /* What http2_set_user said, for events of a stream after its first. */
  uint64_t user;
  uWS::HttpText data, protocol, scheme;
  uWS::HttpHead *head;
};

/* Where frames are appended: length grows. */
struct Http2Output {
  char *bytes;
  size_t length, capacity;
};

/* Room that is enough for every answer to the peer, and for content to make progress. */
constexpr size_t HTTP2_OUTPUT_BYTES_MIN = 256;

/* A field of a response; its name is sent in lower case. What is said of the connection (RFC 9113 section 8.2.2) is left out.
 * Characters are not checked: the owner has done so. */
struct Http2Field {
  const char *name;
  size_t nameLength;
  const char *value;
  size_t valueLength;
  /* Never put into a table of either side. Set-Cookie and credentials never are. */
  bool secret;
};

enum Http2Result : int32_t {
  HTTP2_OK = 0,
  /* The output has not enough room: nothing was done. To be repeated with another one. */
  HTTP2_FULL = -1,
  /* There is no such stream any more. */
  HTTP2_GONE = -2,
  /* A head after the head, or content before it. */
  HTTP2_MISPLACED = -3
};

extern "C" {

void http2_default_limits(Http2Limits *limits);

/* What connections of a thread share. It must outlive them. Null without memory; limits that the code cannot hold are lowered. */
Http2Context *http2_context_create(const Http2Limits *limits);
void http2_context_destroy(Http2Context *context);

/* A connection whose first bytes are the client's preface. Null without memory. */
Http2Connection *http2_create(Http2Context *context, uint64_t now_ms);
void http2_destroy(Http2Connection *connection);

/* Takes from the input up to the next event; false where there is none, and all was taken. The input is written to. */
bool http2_receive(Http2Connection *connection, uWS::HttpText *input, uint64_t now_ms, Http2Event *event);

/* To be called once a second or so, until it is false: time-outs, and memory that is not needed any more. */
bool http2_tick(Http2Connection *connection, uint64_t now_ms, Http2Event *event);

/* Appends what the connection has to say by itself; every call that sends does so first. Whether all of it had room. */
bool http2_flush(Http2Connection *connection, Http2Output *output);
/* Bytes that http2_flush would append. */
size_t http2_waiting(const Http2Connection *connection);

/* Room that is enough for http2_head or http2_trailers with these fields, now. */
size_t http2_head_bound(const Http2Connection *connection, const Http2Field *fields, size_t count);
/* The head of the response, or an interim response: any number of those come before it. With `ends` it is complete. */
int32_t http2_head(Http2Connection *connection, Http2Output *output, uint32_t stream, uint16_t status, const Http2Field *fields,
                   size_t count, bool ends);
/* Content: as much as windows, room and more urgent streams allow. Returns the bytes taken, or an Http2Result. What was not taken
 * waits with its owner, who is told by http2_next. With `ends` the stream ends when all was taken. */
int64_t http2_data(Http2Connection *connection, Http2Output *output, uint32_t stream, const char *bytes, size_t length, bool ends);
/* The header of one DATA frame of a stream that has `left` bytes to send; as many as it returns have to be sent right behind the
 * output, from memory or from a file. The last frame of a response is sent with http2_data, which ends the stream: this one
 * leaves at least one byte of `left` for it. */
int64_t http2_data_header(Http2Connection *connection, Http2Output *output, uint32_t stream, size_t left);
/* The end of the response, with trailers. All of the content was taken. */
int32_t http2_trailers(Http2Connection *connection, Http2Output *output, uint32_t stream, const Http2Field *fields, size_t count);
/* The stream whose turn it is, of those that have content waiting and a window for it; 0 where there is none. Whoever gets it
 * calls http2_data, or http2_reset: it stays the same until then. */
uint32_t http2_next(const Http2Connection *connection);

/* Ends a stream at once. */
int32_t http2_reset(Http2Connection *connection, uint32_t stream, uint32_t code);
/* Content of HTTP2_DATA was taken: the peer may send as much again. What a stream has not taken when it ends is counted by itself.
 */
void http2_consumed(Http2Connection *connection, uint32_t stream, uint32_t bytes);
/* What events of the stream have as `user`. False where it is gone. */
bool http2_set_user(Http2Connection *connection, uint32_t stream, uint64_t user);

void http2_ping(Http2Connection *connection, const char payload[8]);
/* A graceful stop: GOAWAY in two steps, so that no request is lost. */
void http2_shutdown(Http2Connection *connection);
/* The end, with GOAWAY. There is no event for it. */
void http2_fail(Http2Connection *connection, uint32_t code);
/* Nothing more is expected of either side: after what waits was sent, the connection is closed. */
bool http2_is_finished(const Http2Connection *connection);

uint32_t http2_stream_count(const Http2Connection *connection);
/* The streams that are open, one by one: `place` begins with 0. Returns 0 behind the last. */
uint32_t http2_each(const Http2Connection *connection, size_t *place, uint64_t *user);
}

#endif
