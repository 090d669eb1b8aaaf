/* Lines about responses, of parts that a program chose: made as requests begin and end, and handed over many at a time. */
#ifndef SK_HTTP_ACCESS_LOG_H
#define SK_HTTP_ACCESS_LOG_H

#include "abi/socketify.h"
#include "http/engine.h"
#include "http/slot_table.h"

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

namespace sk {

struct Head;

/* What is known of a request whose response has not ended. */
struct LogRecord {
  /* Parts that are known from the request, one behind the other; where those that are not go between. */
  std::string text;
  std::vector<uint32_t> gaps;
  /* Of the parts that are fields of the response: their values behind a mark, or nothing. */
  std::vector<std::string> fields;
  bool begun = false;
  int status = 0;
  uint64_t bytes = 0;
  int64_t began_ns = 0;
};

class AccessLog {
public:
  AccessLog(const sk_log_part *parts, size_t count, bool json, sk_log_fn callback);

  /* A request begins, or nullptr of one that cannot be read. `ends` are client and server as text. */
  void begin(LogRecord &record, const Slot &slot, const uWS::HttpRequest *request, std::string_view ends, std::string_view id);
  /* The head of its response is out. */
  void sent(LogRecord &record, int status, const Head &head);
  /* It ended, with a status if a head was out. */
  void end(LogRecord &record, int64_t now_ns);
  /* Hands over the lines that wait. */
  void flush();

private:
  struct Part {
    int kind;
    std::string text;
  };

  void put(std::string &out, std::string_view value, bool known = true) const;
  void putEscaped(std::string &out, std::string_view value) const;
  void putNumber(std::string &out, uint64_t value) const;
  void putDecimal(std::string &out, uint64_t microseconds, uint64_t unit) const;
  void putTime(std::string &out, const Part &part);
  void putField(std::string &out, const uWS::HttpRequest *request, std::string_view name) const;
  void putKnown(std::string &out, const Part &part, const Slot &slot, const uWS::HttpRequest *request, std::string_view ends,
                std::string_view id);
  void putLate(std::string &out, const Part &part, const LogRecord &record, uint64_t microseconds, size_t &field) const;
  void renderSecond(time_t second);

  std::vector<Part> parts;
  std::vector<std::string> response_fields;
  bool json;
  sk_log_fn callback;
  std::string lines;
  uint32_t count = 0;
  /* The second that was rendered last, for each way to write a time. */
  time_t second = -1;
  tm local{};
  std::string common_time, iso_time, iso_zone;
};

} // namespace sk
#endif
