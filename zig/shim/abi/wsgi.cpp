/* sk_wsgi_*: applications of WSGI, and the apps whose requests they serve. */
#include "cpython/wsgi.h"

#include "abi/socketify.h"
#include "http/app.h"

namespace sk {

extern "C" {

void *sk_wsgi_create(const sk_wsgi_options *options) {
  auto *wsgi = new Wsgi(*options);
  if (!wsgi->ready()) {
    delete wsgi;
    return nullptr;
  }
  return wsgi;
}

void sk_wsgi_route(sk_app *app, const char *pattern, size_t pattern_length, void *wsgi) {
  app->addRoute("", "*", {pattern, pattern_length}, static_cast<Wsgi *>(wsgi));
}

void sk_wsgi_destroy(void *wsgi) { delete static_cast<Wsgi *>(wsgi); }

} // extern "C"

} // namespace sk
