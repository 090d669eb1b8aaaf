/* sk_tls_*, sk_app_tls*: certificates of an app. What they do lives in layer 1. */
#include "abi/socketify.h"
#include "http/app.h"
#include "http/callback.h"
#include "http/scratch.h"

#include <mutex>

namespace sk {

namespace {

void onMissingName(void *user, const char *name, size_t length) {
  beforeCallback();
  static_cast<App *>(user)->on_missing_name(name, length);
}

} // namespace

extern "C" {

int32_t sk_tls_load(const char *path) {
  static std::mutex once;
  std::lock_guard<std::mutex> lock(once);
  return us_tls_load(path);
}

int32_t sk_tls_knows_cipher(const char *name) { return us_tls_knows_cipher(name) == 1; }

int32_t sk_app_tls(sk_app *app, const char *host, size_t host_length, const sk_tls_options *options) {
  us_tls_options given{};
  given.key_files = options->key_files;
  given.cert_files = options->cert_files;
  given.passphrase = options->passphrase;
  given.dh_params_file = options->dh_params_file;
  given.ca_file = options->ca_file;
  given.crl_file = options->crl_file;
  given.ciphers = options->ciphers;
  given.ciphersuites = options->ciphersuites;
  given.client_certificate = options->client_certificate;
  given.minimum_version = options->minimum_version;
  given.maximum_version = options->maximum_version;
  given.low_memory = options->low_memory;
  given.handshake_timeout_s = options->handshake_timeout_s;
  int32_t problem = us_socket_context_tls(app->context(), host, host_length, &given, scratchBuffer(), SK_TLS_REASON_BYTES);
  app->secure |= problem == 0;
  return problem;
}

void sk_app_tls_remove(sk_app *app, const char *host, size_t host_length) {
  us_socket_context_tls_remove_name(app->context(), host, host_length);
}

void sk_app_tls_on_missing(sk_app *app, sk_tls_missing_fn callback) {
  app->on_missing_name = callback;
  us_socket_context_tls_on_missing_name(app->context(), callback ? onMissingName : nullptr, static_cast<App *>(app));
}

int32_t sk_res_client_certificate(uint32_t handle) {
  Slot *slot = findSlot(handle);
  if (!slot) {
    return SK_STALE;
  }
  int length = us_socket_tls_peer_certificate(raw(slot->socket), scratchBuffer(), SK_SCRATCH_BYTES);
  return length > 0 ? length : SK_ABSENT;
}

uint64_t sk_res_tls_number(uint32_t handle) {
  Slot *slot = findSlot(handle);
  return slot ? us_socket_tls_number(raw(slot->socket)) : 0;
}

int32_t sk_res_tls_facts(uint32_t handle) {
  Slot *slot = findSlot(handle);
  return slot ? us_socket_tls_facts(raw(slot->socket), scratchBuffer(), SK_SCRATCH_BYTES) : SK_STALE;
}

uint64_t sk_app_tls_failures(sk_app *app) { return us_socket_context_tls_failed_handshakes(app->context()); }

} // extern "C"

} // namespace sk
