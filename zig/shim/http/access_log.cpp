#include "http/access_log.h"

#include "http/app.h"
#include "http/ascii.h"
#include "http/bytes.h"
#include "http/clock.h"
#include "http/head.h"
#include "proxy/client.h"
#include "proxy/forwarded.h"

#include <algorithm>
#include <unistd.h>
#include <utility>

namespace sk {

namespace {

/* Lines are handed over at the latest when so many bytes wait. */
constexpr size_t BYTES_MAX = size_t{64} * 1024;
/* nginx's: the client left before it had an answer. */
constexpr int CLIENT_LEFT = 499;
constexpr uint64_t MILLISECOND = 1000, SECOND = 1000000;

std::string_view word(std::string_view text, int index) {
  for (; index > 0; index--) {
    size_t space = text.find(' ');
    text = space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
  }
  return text.substr(0, text.find(' '));
}

int sextetOf(char c) {
  return c >= 'A' && c <= 'Z'   ? c - 'A'
         : c >= 'a' && c <= 'z' ? c - 'a' + 26
         : c >= '0' && c <= '9' ? c - '0' + 52
         : c == '+'             ? 62
         : c == '/'             ? 63
                                : -1;
}

/* The name of Basic (RFC 7617), which nobody has checked; empty without one. */
std::string userOf(const uWS::HttpRequest &request) {
  std::string_view value = request.header("authorization");
  constexpr std::string_view SCHEME = "basic ";
  if (!equalsLower(value.substr(0, SCHEME.length()), SCHEME)) {
    return {};
  }
  std::string name;
  unsigned int bits = 0, held = 0;
  for (char c : trim(value.substr(SCHEME.length()))) {
    int sextet = sextetOf(c);
    if (sextet < 0) {
      break;
    }
    bits = (bits << 6 | static_cast<unsigned int>(sextet)) & 0xffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      name += static_cast<char>(bits >> held);
    }
  }
  size_t colon = name.find(':');
  return colon == std::string::npos ? std::string() : name.substr(0, colon);
}

std::string_view protocolOf(const Slot &slot, const uWS::HttpRequest *request) {
  return !request ? "" : request->isAncient() ? "HTTP/1.0" : slot.stream ? "HTTP/2" : "HTTP/1.1";
}

bool isLate(int kind) { return kind >= SK_LOG_STATUS; }

} // namespace

AccessLog::AccessLog(const sk_log_part *given, size_t number, bool json, sk_log_fn callback) : json(json), callback(callback) {
  for (size_t i = 0; i < number; i++) {
    parts.push_back({given[i].kind, std::string(given[i].text, given[i].length)});
    if (given[i].kind == SK_LOG_RESPONSE_FIELD) {
      response_fields.push_back(parts.back().text);
    }
  }
}

void AccessLog::begin(LogRecord &record, const Slot &slot, const uWS::HttpRequest *request, std::string_view ends,
                      std::string_view id) {
  record.text.clear();
  record.gaps.clear();
  for (std::string &field : record.fields) {
    field.clear();
  }
  for (const Part &part : parts) {
    if (isLate(part.kind)) {
      record.gaps.push_back(static_cast<uint32_t>(record.text.length()));
    } else {
      putKnown(record.text, part, slot, request, ends, id);
    }
  }
  record.begun = true;
  record.status = 0;
  record.bytes = 0;
  record.began_ns = slot.app->clock.begun();
}

void AccessLog::sent(LogRecord &record, int status, const Head &head) {
  record.status = status;
  if (response_fields.empty()) {
    return;
  }
  record.fields.resize(response_fields.size());
  eachField(head, [&](std::string_view name, std::string_view value) {
    for (size_t k = 0; k < response_fields.size(); k++) {
      if (equalsLower(name, response_fields[k])) {
        /* With a mark, so that an empty value is one. */
        record.fields[k].append(record.fields[k].empty() ? "=" : ", ").append(value);
      }
    }
  });
}

void AccessLog::end(LogRecord &record, int64_t now_ns) {
  if (!std::exchange(record.begun, false)) {
    return;
  }
  uint64_t microseconds = static_cast<uint64_t>(now_ns - record.began_ns) / 1000;
  bool first = lines.empty();
  size_t gap = 0, field = 0, from = 0;
  for (const Part &part : parts) {
    if (!isLate(part.kind)) {
      continue;
    }
    size_t to = record.gaps[gap++];
    lines.append(record.text, from, to - from);
    from = to;
    putLate(lines, part, record, microseconds, field);
  }
  lines.append(record.text, from).append("\n");
  count++;
  if (lines.length() >= BYTES_MAX) {
    flush();
  } else if (first) {
    callback(nullptr, 0, 0);
  }
}

void AccessLog::flush() {
  if (count) {
    /* The callback may begin something new. */
    std::string out = std::move(lines);
    lines.clear();
    callback(out.data(), out.length(), std::exchange(count, 0));
    if (lines.empty() && out.capacity() <= 2 * BYTES_MAX) {
      out.clear();
      lines = std::move(out);
    }
  }
}

/* ---- parts */

/* Whatever a client sends, it is one value on one line: as Apache writes it, or JSON. */
void AccessLog::putEscaped(std::string &out, std::string_view value) const {
  size_t plain = 0;
  for (size_t i = 0; i < value.length(); i++) {
    unsigned char c = static_cast<unsigned char>(value[i]);
    if (c >= ' ' && c <= '~' && c != '"' && c != '\\') {
      continue;
    }
    out.append(value, plain, i - plain);
    plain = i + 1;
    if (c == '"' || c == '\\') {
      out += {'\\', static_cast<char>(c)};
    } else {
      out.append(json ? "\\u00" : "\\x");
      out += {HEX[c >> 4], HEX[c & 15]};
    }
  }
  out.append(value, plain);
}

void AccessLog::put(std::string &out, std::string_view value, bool known) const {
  if (json) {
    if (!known) {
      out.append("null");
      return;
    }
    out += '"';
    putEscaped(out, value);
    out += '"';
  } else if (value.empty()) {
    out += '-';
  } else {
    putEscaped(out, value);
  }
}

void AccessLog::putNumber(std::string &out, uint64_t value) const { out.append(std::to_string(value)); }

void AccessLog::putDecimal(std::string &out, uint64_t microseconds, uint64_t unit) const {
  putNumber(out, microseconds / unit);
  std::string digits = std::to_string(microseconds % unit + unit);
  digits[0] = '.';
  out.append(digits);
}

void AccessLog::putField(std::string &out, const uWS::HttpRequest *request, std::string_view name) const {
  std::string_view value = request ? request->header(name) : std::string_view();
  put(out, value, value.data());
}

void AccessLog::renderSecond(time_t now) {
  if (now == second) {
    return;
  }
  second = now;
  localtime_r(&second, &local);
  static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  long minutes = local.tm_gmtoff / 60;
  char sign = minutes < 0 ? '-' : '+';
  long offset = minutes < 0 ? -minutes : minutes;
  char text[64];
  /* Not strftime: the names do not follow the locale. */
  snprintf(text, sizeof(text), "%02d/%s/%04d:%02d:%02d:%02d %c%02ld%02ld", local.tm_mday, months[local.tm_mon],
           local.tm_year + 1900, local.tm_hour, local.tm_min, local.tm_sec, sign, offset / 60, offset % 60);
  common_time = text;
  snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d", local.tm_year + 1900, local.tm_mon + 1, local.tm_mday,
           local.tm_hour, local.tm_min, local.tm_sec);
  iso_time = text;
  snprintf(text, sizeof(text), "%c%02ld:%02ld", sign, offset / 60, offset % 60);
  iso_zone = text;
}

void AccessLog::putTime(std::string &out, const Part &part) {
  timespec time;
  clock_gettime(COARSE_WALL_CLOCK, &time);
  renderSecond(time.tv_sec);
  if (part.kind == SK_LOG_TIME_COMMON) {
    out.append("[").append(common_time).append("]");
  } else if (part.kind == SK_LOG_TIME_ISO) {
    std::string milliseconds = std::to_string(1000 + time.tv_nsec / 1000000);
    milliseconds[0] = '.';
    out.append(json ? "\"" : "").append(iso_time).append(milliseconds).append(iso_zone).append(json ? "\"" : "");
  } else {
    char text[256];
    size_t length = strftime(text, sizeof(text), part.text.c_str(), &local);
    put(out, {text, length});
  }
}

void AccessLog::putKnown(std::string &out, const Part &part, const Slot &slot, const uWS::HttpRequest *request,
                         std::string_view ends, std::string_view id) {
  std::string_view target = request ? request->getFullUrl() : std::string_view();
  size_t mark = std::min(target.find('?'), target.length());
  /* Unix-domain sockets have no addresses. */
  bool has_server = !word(ends, 2).empty();
  switch (part.kind) {
  case SK_LOG_TEXT:
    out.append(part.text);
    return;
  case SK_LOG_CLIENT:
    return put(out, word(ends, 0));
  case SK_LOG_CLIENT_PORT:
    return put(out, word(ends, 1), has_server);
  case SK_LOG_SERVER:
    return put(out, word(ends, 2), has_server);
  case SK_LOG_SERVER_PORT:
    return put(out, word(ends, 3), has_server);
  case SK_LOG_USER: {
    std::string user = request ? userOf(*request) : std::string();
    return put(out, user, !user.empty());
  }
  case SK_LOG_TIME_COMMON:
  case SK_LOG_TIME_ISO:
  case SK_LOG_TIME:
    return putTime(out, part);
  case SK_LOG_REQUEST: {
    if (!request) {
      return put(out, {});
    }
    std::string line(request->rawMethod());
    return put(out, line.append(" ").append(target).append(" ").append(protocolOf(slot, request)));
  }
  case SK_LOG_METHOD:
    return put(out, request ? request->rawMethod() : std::string_view());
  case SK_LOG_TARGET:
    return put(out, target);
  case SK_LOG_PATH:
    return put(out, target.substr(0, mark));
  case SK_LOG_QUERY:
    return mark < target.length() ? put(out, target.substr(mark + 1)) : json ? put(out, {}) : void();
  case SK_LOG_MARKED_QUERY:
    return mark < target.length() ? putEscaped(out, target.substr(mark)) : void();
  case SK_LOG_PROTOCOL:
    return put(out, protocolOf(slot, request));
  case SK_LOG_VERSION:
    return put(out, request ? protocolOf(slot, request).substr(std::string_view("HTTP/").length()) : std::string_view());
  case SK_LOG_SCHEME:
    return put(out, isSecure(slot) ? "https" : "http");
  case SK_LOG_HOST:
    return put(out, request ? hostOf(request->host()) : std::string_view(), request);
  case SK_LOG_REQUEST_FIELD:
    return putField(out, request, part.text);
  case SK_LOG_REQUEST_ID:
    return put(out, id, !id.empty());
  case SK_LOG_PID:
    return putNumber(out, static_cast<uint64_t>(getpid()));
  default:
    return;
  }
}

void AccessLog::putLate(std::string &out, const Part &part, const LogRecord &record, uint64_t microseconds, size_t &field) const {
  switch (part.kind) {
  case SK_LOG_STATUS:
    return putNumber(out, static_cast<uint64_t>(record.status ? record.status : CLIENT_LEFT));
  case SK_LOG_BYTES:
    return putNumber(out, record.bytes);
  case SK_LOG_BYTES_OR_DASH:
    return record.bytes ? putNumber(out, record.bytes) : put(out, {}, false);
  case SK_LOG_SECONDS:
    return putNumber(out, microseconds / SECOND);
  case SK_LOG_MILLISECONDS:
    return putNumber(out, microseconds / MILLISECOND);
  case SK_LOG_MICROSECONDS:
    return putNumber(out, microseconds);
  case SK_LOG_DECIMAL_SECONDS:
    return putDecimal(out, microseconds, SECOND);
  case SK_LOG_DECIMAL_MILLISECONDS:
    return putDecimal(out, microseconds, MILLISECOND);
  case SK_LOG_RESPONSE_FIELD: {
    std::string_view marked = field < record.fields.size() ? std::string_view(record.fields[field]) : std::string_view();
    field++;
    return put(out, marked.empty() ? marked : marked.substr(1), !marked.empty());
  }
  default:
    return;
  }
}

} // namespace sk
