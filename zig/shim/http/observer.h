/* What an app looks at beside its handlers, where it was asked to: who the client behind a proxy is, and what becomes of each
 * response. An app that was not asked to has no observer, and pays a comparison with a null pointer. */
#ifndef SK_HTTP_OBSERVER_H
#define SK_HTTP_OBSERVER_H

#include "abi/socketify.h"
#include "http/engine.h"
#include "http/slot_table.h"
#include "proxy/forwarded.h"

#include <string>
#include <string_view>
#include <unordered_map>

namespace sk {

class Observer {
public:
  /* Believes what proxies in these networks say of their clients. */
  void trust(std::string_view networks) {
    believes = true;
    trusted.assign(networks);
  }
  void logTo(sk_log_fn callback) { log = callback; }

  /* A request of the connection begins, or one that cannot be read is about to be refused. */
  void begin(Slot &slot, HttpResponse *response, const uWS::HttpRequest *request);
  /* The head is out, and so is a part of the body. */
  void sent(const Slot &slot, int status);
  void sent(const Slot &slot, uint64_t bytes);
  /* The response is complete, or never will be: then its status is 499 unless the head was out. */
  void end(const Slot &slot);
  void forget(const Slot &slot) { records.erase(indexOf(slot)); }

  /* What proxies say of the connection's request, or nullptr. */
  const Forwarded *forwarded(const Slot &slot) const;
  /* Both ends of the connection as text, the client's as the proxies say. */
  std::string_view ends(const Slot &slot, std::string_view of_connection);

private:
  struct Record {
    bool peer_known = false, peer_trusted = false;
    Forwarded forwarded;
    std::string ends;
    /* Of the log: client, method, target and version, with LF between; empty when nothing is to be logged. */
    std::string request;
    int status = 0;
    uint64_t bytes = 0;
    int64_t began_ns = 0;
  };

  Record *find(const Slot &slot);

  bool believes = false;
  TrustedNetworks trusted;
  sk_log_fn log = nullptr;
  std::unordered_map<uint32_t, Record> records;
};

} // namespace sk
#endif
