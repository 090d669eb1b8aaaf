/* Connections of HTTP/2 between the socket layer and the shim. Each stream is a socket that its connection carries: it opens in the
 * context of the requests, with the callbacks of that, but what arrives on it comes by these callbacks. Defined in Zig. */
#ifndef CARRIER_H
#define CARRIER_H

#include "libusockets.h"

#include "HttpParser.h"

#include <cstddef>
#include <cstdint>

extern "C" {

/* A field of a response; the name may have any case. */
struct carrier_field {
  const char *name;
  size_t name_length;
  const char *value;
  size_t value_length;
};

/* What a stream begins with. */
struct carrier_request {
  uWS::HttpHead *head;
  /* All of the content, where it has arrived with the head, or NULL; on_body is called for it all the same. */
  const char *content;
  size_t content_length;
  /* Of an extended CONNECT (RFC 8441): what it asks for; else NULL. */
  const char *protocol;
  size_t protocol_length;
};

struct carrier_callbacks {
  void (*on_request)(us_socket_t *stream, const carrier_request *request);
  void (*on_body)(us_socket_t *stream, const char *data, size_t length, bool last);
  /* The request gets no further; an index into httpErrorResponses. `asks_head`: it is HEAD, of which nothing else was told. */
  void (*on_refused)(us_socket_t *stream, unsigned int error, bool asks_head);
  /* A connection is closed, and all of its streams are. */
  void (*on_closed)(void *user);
};

/* In seconds; 0 for no limit. */
struct carrier_timeouts {
  unsigned int header, keep_alive, write;
};

struct carrier_limits {
  uint64_t max_body_bytes;
  uint32_t max_target_bytes;
  uint32_t max_header_bytes;
  uint32_t max_trailer_bytes;
  uint32_t max_header_count;
  uint32_t max_streams;
};

/* A context for the connections whose streams open in `streams`, with so many bytes behind each; NULL without memory. */
us_socket_context_t *carrier_create_context(us_socket_context_t *streams, unsigned int stream_ext_bytes, const carrier_callbacks *,
                                            const carrier_limits *, const carrier_timeouts *);
void carrier_free_context(us_socket_context_t *carriers);
/* A connection of the other context speaks HTTP/2: it moves here, and these bytes are what has arrived. `user` is what on_closed
 * gets. The old socket's memory stays until the turn ends. NULL without memory; then nothing has changed. */
us_socket_t *carrier_begin(us_socket_context_t *carriers, us_socket_t *s, char *bytes, size_t length, void *user);
/* No new streams, please; closes when the present ones are done. */
void carrier_drain(us_socket_context_t *carriers, bool patient);
/* What was given to carrier_begin for the connection that carries a stream. */
void *carrier_user(us_socket_t *stream);

/* Whether it began with an extended CONNECT (RFC 8441), which any 2xx would accept. */
int carrier_is_extended(const us_socket_t *stream);

/* A head, or with status 0 the trailers, which end the stream. */
void carrier_head(us_socket_t *stream, unsigned int status, const carrier_field *fields, size_t count);
}

#endif
