/* The engine as the shim sees it.
 *
 * Only the templates for plain sockets are used: TLS lives below the engine, in layer 1, which decides by the socket's
 * context. The shim is compiled without C++ access control because it composes responses itself, in one pass over the
 * cork buffer, and therefore has to keep the engine's per-connection state in step. */
#ifndef SK_HTTP_ENGINE_H
#define SK_HTTP_ENGINE_H

#include "App.h"

#include "usockets_ext.h"

namespace sk {

using Socket = uWS::AsyncSocket<false>;
using HttpResponse = uWS::HttpResponse<false>;
using HttpData = uWS::HttpResponseData<false>;
using HttpContext = uWS::HttpContext<false>;
using EngineApp = uWS::TemplatedApp<false>;

inline us_socket_t *raw(Socket *socket) { return reinterpret_cast<us_socket_t *>(socket); }

inline HttpData *httpData(Socket *socket) { return static_cast<HttpData *>(us_socket_ext(0, raw(socket))); }

inline us_loop_t *currentLoop() { return reinterpret_cast<us_loop_t *>(uWS::Loop::get()); }

} // namespace sk
#endif
