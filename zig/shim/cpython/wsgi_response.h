/* The response to a request of WSGI, as far as all of it is as simple as most are; the rules are those of WSGIExchange in
 * socketify/wsgi/exchange.py. */
#ifndef SK_CPYTHON_WSGI_RESPONSE_H
#define SK_CPYTHON_WSGI_RESPONSE_H

#include "cpython/wsgi_head.h"

#include <optional>

namespace sk {

class WsgiResponse {
public:
  WsgiResponse(uint32_t handle, bool is_head_request) : handle(handle), is_head_request(is_head_request) {}

  /* Hands the whole response to the connection. False when nothing was done. */
  bool send(Object *owner, std::string_view body);
  /* Lets a block leave, before it the head. SK_OK, SK_BUFFERED, or SK_GONE; with anything else nothing was done. The owner keeps
   * the bytes. */
  int32_t put(Object *owner, std::string_view block);
  /* Ends it. False when nothing was done. */
  bool finish();

  /* It has no body, whatever the application returns. */
  bool isBodiless() const;
  /* The body is as long as the head says. */
  bool isFull() const { return started && owed == 0u; }
  /* The server has to add a Content-Length when it knows it. */
  bool lacksLength() const;
  /* SK_WSGI_* */
  int32_t state() const;
  /* What the body still owes of its Content-Length, once the head was sent. */
  std::optional<uint64_t> remaining() const { return started ? owed : std::nullopt; }

  const uint32_t handle;
  /* What start_response was given, once it was called. */
  const GivenHead *head = nullptr;
  /* Its head was handed to the connection; all of it was; the client left. */
  bool started = false, over = false, left = false;

private:
  const bool is_head_request;
  std::optional<uint64_t> owed;
};

} // namespace sk
#endif
