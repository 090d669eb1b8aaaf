/* sk_res_*: the connection behind a response. */
#include "http/connection.h"
#include "abi/socketify.h"
#include "http/app.h"
#include "http/response.h"
#include "http/scratch.h"
#include "proxy/client.h"

namespace sk {

extern "C" {

int32_t sk_res_pause(uint32_t handle) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  slot->flags |= USER_PAUSED;
  us_socket_pause(raw(slot->socket));
  awaitHandler(*slot);
  return SK_OK;
}

int32_t sk_res_resume(uint32_t handle) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  slot->flags &= static_cast<uint16_t>(~USER_PAUSED);
  us_socket_resume(raw(slot->socket));
  awaitBody(*slot);
  return SK_OK;
}

int32_t sk_res_close(uint32_t handle) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_GONE;
  }
  cut(*slot);
  return SK_OK;
}

int32_t sk_res_remote_address(uint32_t handle) {
  Slot *slot = findSlot(handle);
  if (!slot) {
    return SK_STALE;
  }
  if (const Forwarded *forwarded = forwardedClientOf(*slot)) {
    return toScratch(forwarded->address);
  }
  if (const uWS::ProxyFacts *facts = slot->kind == Kind::Http ? proxyFactsOf(slot->socket) : nullptr;
      facts && facts->family == uWS::ProxyFacts::Unix) {
    return 0;
  }
  int length = ADDRESS_BYTES_MAX;
  us_socket_remote_address(0, raw(slot->socket), scratchBuffer(), &length);
  return length;
}

int32_t sk_res_proxied_address(uint32_t handle) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_STALE;
  }
  return toScratch(static_cast<HttpResponse *>(slot->socket)->getProxiedRemoteAddress());
}

int32_t sk_res_request_id(uint32_t handle) {
  Slot *slot = findSlot(handle);
  return slot ? toScratch(slot->app->observer ? slot->app->observer->requestId(*slot) : std::string_view()) : SK_STALE;
}

int32_t sk_res_proxy_tlvs(uint32_t handle) {
  Slot *slot = findHttpSlot(handle);
  if (!slot) {
    return SK_STALE;
  }
  const uWS::ProxyFacts *facts = proxyFactsOf(slot->socket);
  return facts ? toScratch(facts->tlvs) : SK_ABSENT;
}

} // extern "C"

} // namespace sk
