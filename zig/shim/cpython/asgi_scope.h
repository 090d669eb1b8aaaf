/* The scopes of ASGI, and what a request is served by. */
#ifndef SK_CPYTHON_ASGI_SCOPE_H
#define SK_CPYTHON_ASGI_SCOPE_H

#include "cpython/api.h"
#include "http/scope.h"

#include <optional>

namespace sk {

/* What a request is served by: the tuple of SK_ASGI_*. */
class AsgiRoute {
public:
  explicit AsgiRoute(Object *self) : tuple(self) {}
  Object *operator[](ptrdiff_t index) const { return python.tuple_get(tuple, index); }
  Object *self() const { return tuple; }

private:
  Object *tuple;
};

/* The request whose handler runs. */
struct AsgiRequest {
  Slot &slot;
  uWS::HttpRequest &request;
  Target target;
  /* SK_SCOPE_*. */
  int flags;

  /* By its handle; nothing when an exception is set. */
  static std::optional<AsgiRequest> find(Object *handle);
};

/* No scope when an exception is set. */
Ref makeAsgiScope(AsgiRoute route, const AsgiRequest &from);

/* See SK_PYTHON_ASGI_SCOPE. */
Object *asgiScope(Object *self, Object *const *arguments, ptrdiff_t count);

/* Once, after the C API was loaded. */
void prepareAsgiScope();

} // namespace sk
#endif
