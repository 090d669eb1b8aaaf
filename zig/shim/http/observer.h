/* What an app looks at beside its handlers, where it was asked to: who the client behind a proxy is, what requests are called, and
 * what becomes of each response. An app that was not asked to has no observer, and pays a comparison with a null pointer. */
#ifndef SK_HTTP_OBSERVER_H
#define SK_HTTP_OBSERVER_H

#include "http/access_log.h"
#include "http/end_report.h"
#include "http/engine.h"
#include "http/slot_table.h"
#include "proxy/forwarded.h"

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

namespace sk {

class Observer {
public:
  /* Whose word on clients is believed. */
  Trust trust;
  /* The field with what a request is called, in lower case; empty when they have no names. */
  std::string id_field;
  std::unique_ptr<AccessLog> log;
  std::unique_ptr<EndReport> end_report;

  /* A request of the connection begins, or one that cannot be read is about to be refused. */
  void begin(Slot &slot, HttpResponse *response, uWS::HttpRequest *request);
  /* The head is out, and so is a part of the body. */
  void sent(const Slot &slot, int status, const Head &head);
  void sent(const Slot &slot, uint64_t bytes);
  /* The response is complete, or never will be. */
  void end(const Slot &slot, bool aborted, int64_t now_ns);
  void forget(const Slot &slot) { records.erase(indexOf(slot)); }

  /* What proxies say of the connection's request, or nullptr. */
  const Forwarded *forwarded(const Slot &slot) const;
  /* Lets the request be for the host that the proxies say. */
  void putHost(const Slot &slot, uWS::HttpRequest &request);
  /* Both ends of the connection as text, as the proxies say. */
  std::string_view ends(const Slot &slot, std::string_view of_connection);
  /* What the request is called; empty without a name. */
  std::string_view requestId(const Slot &slot) const;

private:
  struct Record {
    bool peer_known = false, peer_trusted = false;
    Forwarded forwarded;
    std::string ends;
    /* What takes the place of Host; empty where that is right. */
    std::string host;
    std::string id;
    LogRecord line;
    /* Of a request that began, until its response ends; else 0. */
    uint32_t handle = 0;
    int status = 0;
  };

  Record *find(const Slot &slot);
  /* Where somebody asked what becomes of responses. */
  Record *findFollowed(const Slot &slot) { return log || end_report ? find(slot) : nullptr; }
  void nameRequest(Record &record, uWS::HttpRequest *request);

  std::unordered_map<uint32_t, Record> records;
};

} // namespace sk
#endif
