/* Objects of CPython that handle requests. */
#ifndef SK_CPYTHON_HANDLER_H
#define SK_CPYTHON_HANDLER_H

#include "cpython/api.h"
#include "http/handler.h"

namespace sk {

/* Calls an object with the handle, by CPython's own vectorcall. Its error is reported as unraisable, and the request counts as
 * taken. The caller keeps the object alive. */
class ObjectHandler final : public Handler {
public:
  explicit ObjectHandler(Object *object) : object(object) {}

  int32_t handle(uint32_t handle) override;

private:
  Object *object;
};

/* Ends a request whose handler could not even learn that it failed: 500, or a cut when the head is out. An exception that is set
 * stays set, and nothing that this calls back sees it. */
void failRequest(uint32_t handle);

} // namespace sk
#endif
