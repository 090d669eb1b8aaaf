/* The life of an HTTP connection between the socket layer and the parser: what arrives, what can be written, and the
 * time-outs, in place of the engine's handlers, whose time-outs are constants. */
#ifndef SK_HTTP_CONNECTION_H
#define SK_HTTP_CONNECTION_H

#include "http/engine.h"
#include "http/slot_table.h"

struct carrier_request;

namespace sk {

/* Registers the handlers for a context whose sockets the engine opens and closes. */
void handleConnections(us_socket_context_t *context);

/* Closes with everything sent; what the client sends of an unread body is waited for, so that it gets the response (RFC 9112
 * section 9.6). */
void closeGracefully(const Slot &slot);

/* The time that a new connection has for its first request. */
void awaitFirstRequest(Slot &slot);
/* (Re)starts the clock of the handler, while nobody else is waited for. */
void awaitHandler(Slot &slot);
/* (Re)starts the clock of a request's body, or that of the handler while it is not the client who is waited for. */
void awaitBody(Slot &slot);
/* The client does not read what waits for it. */
void awaitReader(Slot &slot);
/* The response is complete: the time until the next request, or until the client has read it. */
void awaitNextRequest(Slot &slot);

/* What arrives on a stream of HTTP/2 (Carrier.h). */
void onStreamRequest(us_socket_t *s, const carrier_request *begun);
void onStreamBody(us_socket_t *s, const char *data, size_t length, bool last);
void onStreamRefused(us_socket_t *s, unsigned int error, bool asks_head);

} // namespace sk
#endif
