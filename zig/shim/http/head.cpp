#include "http/head.h"

#include "Utilities.h"
#include "http/ascii.h"
#include "http/bytes.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

namespace sk {

namespace {

constexpr std::string_view OK_LINE = "HTTP/1.1 200 OK\r\n";
constexpr std::string_view VERSION = "HTTP/1.1 ";
constexpr std::string_view CLOSE_LINE = "Connection: close\r\n";
/* RFC 9112 appendix C.2.2: an HTTP/1.0 client closes unless the response says that it need not. */
constexpr std::string_view KEEP_ALIVE_LINE = "Connection: keep-alive\r\n";
constexpr std::string_view CHUNKED_LINE = "Transfer-Encoding: chunked\r\n";
constexpr std::string_view LENGTH_NAME = "Content-Length: ";
/* Everything the server adds by itself, beside the common fields. */
constexpr size_t OWN_BYTES_MAX = 128;

/* RFC 9110 section 5.6.2: tchar. */
constexpr std::array<bool, 256> tokenTable() {
  std::array<bool, 256> table{};
  for (unsigned char c : std::string_view("!#$%&'*+-.^_`|~0123456789"
                                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")) {
    table[c] = true;
  }
  return table;
}

constexpr std::array<bool, 256> TOKEN = tokenTable();

bool isToken(std::string_view text) {
  for (unsigned char c : text) {
    if (!TOKEN[c]) {
      return false;
    }
  }
  return !text.empty();
}

/* RFC 9110 section 5.5: no control characters but HTAB. */
bool isFieldValue(std::string_view text) {
  for (unsigned char c : text) {
    if ((c < 32 && c != '\t') || c == 127) {
      return false;
    }
  }
  return true;
}

/* Fields that the server itself decides about. */
enum class Own { No, Date, Server, Connection, ContentLength, TransferEncoding };

Own ownField(std::string_view name) {
  switch (name.length()) {
  case 4:
    return equalsLower(name, "date") ? Own::Date : Own::No;
  case 6:
    return equalsLower(name, "server") ? Own::Server : Own::No;
  case 10:
    return equalsLower(name, "connection") ? Own::Connection : Own::No;
  case 14:
    return equalsLower(name, "content-length") ? Own::ContentLength : Own::No;
  case 17:
    return equalsLower(name, "transfer-encoding") ? Own::TransferEncoding : Own::No;
  default:
    return Own::No;
  }
}

/* Three digits, then SP and a reason phrase (RFC 9112 section 4); no interim status, which a final response cannot have. */
int statusOf(std::string_view line) {
  if (line.length() < 3 || (line.length() > 3 && line[3] != ' ') || !isFieldValue(line)) {
    return 0;
  }
  int status = 0;
  for (char c : line.substr(0, 3)) {
    if (c < '0' || c > '9') {
      return 0;
    }
    status = status * 10 + (c - '0');
  }
  return status >= 200 ? status : 0;
}

bool isDigits(std::string_view text) {
  for (char c : text) {
    if (c < '0' || c > '9') {
      return false;
    }
  }
  return !text.empty() && text.length() < 20;
}

/* Of less than 20 digits. */
uint64_t toNumber(std::string_view digits) {
  uint64_t number = 0;
  for (char c : digits) {
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  return number;
}

bool hasCloseOption(std::string_view value) {
  constexpr std::string_view close = "close";
  for (size_t i = 0; i + close.length() <= value.length(); i++) {
    bool begins = i == 0 || value[i - 1] == ',' || value[i - 1] == ' ' || value[i - 1] == '\t';
    size_t after = i + close.length();
    bool ends = after == value.length() || value[after] == ',' || value[after] == ' ' || value[after] == '\t';
    if (begins && ends && equalsLower(value.substr(i, close.length()), close)) {
      return true;
    }
  }
  return false;
}

char *putField(char *out, std::string_view name, std::string_view value) {
  out = put(out, name);
  out = put(out, ": ");
  out = put(out, value);
  return put(out, "\r\n");
}

char *putLength(char *out, uint64_t length) {
  out = put(out, LENGTH_NAME);
  out += uWS::utils::u64toa(length, out);
  return put(out, "\r\n");
}

/* Whether a field of the handler's is sent. */
bool isKept(Own own, std::string_view value, const HeadFacts &facts, Framing framing, bool &length_given) {
  switch (own) {
  case Own::Connection:
  case Own::TransferEncoding:
    return false;
  case Own::ContentLength:
    /* Only a response without content may announce a length that the server cannot count. */
    if (framing != Framing::None || facts.status == 204 || length_given || !isDigits(value)) {
      return false;
    }
    length_given = true;
    return true;
  case Own::Date:
  case Own::Server:
  case Own::No:
    return true;
  }
  return true;
}

bool hasField(const Head &head, std::string_view wanted) {
  Lines lines{head.block};
  lines.next();
  for (int32_t i = 0; i < head.fields; i++) {
    std::string_view name = lines.next();
    lines.next();
    if (name.length() == wanted.length() &&
        std::equal(name.begin(), name.end(), wanted.begin(), [](char a, char b) { return toLower(a) == toLower(b); })) {
      return true;
    }
  }
  return false;
}

/* What a program says of one response goes before what it says of all. */
template <typename Take> void eachAdded(const Head &head, const App &app, Take take) {
  app.added.each([&](std::string_view name, std::string_view value) {
    if (!hasField(head, name)) {
      take(name, value);
    }
  });
}

/* Of a line with its name, ": " and CR LF. */
void listLine(std::string_view line, FieldList &out) {
  size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    out.add(line.substr(0, colon), line.substr(colon + 2, line.length() - colon - 4));
  }
}

} // namespace

HeadFacts inspect(const Head &head) {
  HeadFacts facts;
  if (head.block.empty()) {
    facts.valid = head.fields == 0;
    return facts;
  }
  Lines lines{head.block};
  facts.status = statusOf(lines.next());
  if (!facts.status) {
    return facts;
  }
  for (int32_t i = 0; i < head.fields; i++) {
    if (!lines.more) {
      return facts;
    }
    std::string_view name = lines.next();
    if (!isToken(name) || !lines.more) {
      return facts;
    }
    std::string_view value = lines.next();
    if (!isFieldValue(value)) {
      return facts;
    }
    Own own = ownField(name);
    facts.has_date |= own == Own::Date;
    facts.has_server |= own == Own::Server;
    facts.wants_close |= own == Own::Connection && hasCloseOption(value);
    if (own == Own::ContentLength && isDigits(value)) {
      facts.has_length = true;
      facts.length = toNumber(value);
    }
  }
  facts.valid = !lines.more;
  return facts;
}

size_t composedBound(const Head &head, const App &app) {
  /* An LF of the block becomes ": " or CR LF. */
  return head.block.length() + 4 * static_cast<size_t>(head.fields) + app.serverField().length() + app.added.bytes() +
         OWN_BYTES_MAX;
}

size_t compose(char *begin, const Head &head, const HeadFacts &facts, App &app, Framing framing, uint64_t length,
               Persistence persistence) {
  assert(facts.valid);
  char *out = begin;
  bool length_given = false;
  if (head.block.empty()) {
    out = put(out, OK_LINE);
  } else {
    Lines lines{head.block};
    std::string_view status = lines.next();
    out = put(out, VERSION);
    out = put(out, status);
    out = status.length() == 3 ? put(out, " \r\n") : put(out, "\r\n");
    for (int32_t i = 0; i < head.fields; i++) {
      std::string_view name = lines.next();
      std::string_view value = lines.next();
      if (isKept(ownField(name), value, facts, framing, length_given)) {
        out = putField(out, name, value);
      }
    }
  }
  if (!facts.has_date && !facts.has_server) {
    out = put(out, app.commonFields());
  } else if (!facts.has_date) {
    out = put(out, app.dateField());
  } else if (!facts.has_server) {
    out = put(out, app.serverField());
  }
  if (app.added.any()) {
    eachAdded(head, app, [&out](std::string_view name, std::string_view value) { out = putField(out, name, value); });
  }
  if (persistence != Persistence::Default) {
    out = put(out, persistence == Persistence::Close ? CLOSE_LINE : KEEP_ALIVE_LINE);
  }
  if (framing == Framing::Sized) {
    out = putLength(out, length);
  } else if (framing == Framing::Chunked) {
    out = put(out, CHUNKED_LINE);
  }
  out = put(out, "\r\n");
  assert(static_cast<size_t>(out - begin) <= composedBound(head, app));
  return static_cast<size_t>(out - begin);
}

void composeFor(const Slot &slot) {
  if (const Observer *observer = slot.app->observer.get()) {
    slot.app->added.addOnce(observer->id_field, observer->requestId(slot));
  }
}

std::string addedLines(const Head &head, const App &app) {
  std::string out;
  eachAdded(head, app,
            [&out](std::string_view name, std::string_view value) { out.append(name).append(": ").append(value).append("\r\n"); });
  return out;
}

void listAdded(const Head &head, const App &app, FieldList &out) {
  eachAdded(head, app, [&out](std::string_view name, std::string_view value) { out.add(name, value); });
}

void FieldList::addLength(uint64_t length) {
  add("content-length", {digits, static_cast<size_t>(uWS::utils::u64toa(length, digits))});
}

void listFields(const Head &head, const HeadFacts &facts, App &app, Framing framing, uint64_t length, FieldList &out) {
  assert(facts.valid);
  bool length_given = false;
  eachField(head, [&](std::string_view name, std::string_view value) {
    if (isKept(ownField(name), value, facts, framing, length_given)) {
      out.add(name, value);
    }
  });
  if (!facts.has_date) {
    listLine(app.dateField(), out);
  }
  if (!facts.has_server) {
    listLine(app.serverField(), out);
  }
  listAdded(head, app, out);
  if (framing == Framing::Sized) {
    out.addLength(length);
  }
}

void listFields(const Head &head, FieldList &out) {
  eachField(head, [&out](std::string_view name, std::string_view value) {
    if (ownField(name) == Own::No) {
      out.add(name, value);
    }
  });
}

std::string fieldLines(const Head &head) {
  std::string out;
  eachField(head, [&out](std::string_view name, std::string_view value) {
    if (ownField(name) == Own::No) {
      out.append(name).append(": ").append(value).append("\r\n");
    }
  });
  return out;
}

} // namespace sk
