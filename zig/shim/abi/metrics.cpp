/* sk_app_metrics: where an app counts what it does. */
#include "http/metrics.h"

#include "abi/socketify.h"
#include "http/app.h"

#include <cassert>

namespace sk {

extern "C" {

int32_t sk_app_metrics(sk_app *app, void *memory, uint32_t blocks, sk_active_fn on_active) {
  assert(!app->metrics && on_active);
  auto *words = static_cast<uint64_t *>(memory);
  uint32_t number = Metrics::claim(words, blocks);
  if (!number) {
    return SK_BUSY;
  }
  app->metrics = std::make_unique<Metrics>(words + size_t{number} * SK_METRICS_WORDS, on_active);
  app->watched = true;
  us_socket_context_tls_count_failures(app->context(), app->metrics->address(SK_METRIC_TLS_FAILURES));
  return static_cast<int32_t>(number);
}

} // extern "C"

} // namespace sk
