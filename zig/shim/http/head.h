/* The head of a response: status line and fields, checked and composed in one pass. */
#ifndef SK_HTTP_HEAD_H
#define SK_HTTP_HEAD_H

#include "Carrier.h"
#include "http/app.h"
#include "http/ascii.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sk {

enum class Framing : uint8_t {
  Sized,      /* Content-Length */
  Chunked,    /* Transfer-Encoding: chunked */
  UntilClose, /* HTTP/1.0 without a length, and what goes through a tunnel */
  None        /* no body; a Content-Length among the fields is kept */
};

/* What the Connection field says, if there is one. */
enum class Persistence : uint8_t { Default, Close, KeepAlive };

struct Head {
  std::string_view block; /* status and fields, separated by LF; empty for "200 OK" */
  int32_t fields;
};

/* Walks the lines of a block. */
struct Lines {
  std::string_view rest;
  bool more = true;

  std::string_view next() {
    size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    more = end != std::string_view::npos;
    rest = more ? rest.substr(end + 1) : std::string_view();
    return line;
  }
};

/* Calls back for each field of a block that is valid. */
template <typename Take> void eachField(const Head &head, Take take) {
  Lines lines{head.block};
  lines.next();
  for (int32_t i = 0; i < head.fields; i++) {
    std::string_view name = lines.next();
    std::string_view value = lines.next();
    take(name, value);
  }
}

/* What a head says, found before anything is written. */
struct HeadFacts {
  int status = 200;
  bool valid = false;
  bool has_date = false;
  bool has_server = false;
  bool wants_close = false;
  bool has_length = false;
  uint64_t length = 0; /* what its Content-Length says */
};

HeadFacts inspect(const Head &head);

/* Upper bound of what `compose` writes. */
size_t composedBound(const Head &head, const App &app);

/* Writes the head of a block that `inspect` found valid; returns the bytes written. */
size_t compose(char *out, const Head &head, const HeadFacts &facts, App &app, Framing framing, uint64_t length,
               Persistence persistence);

/* For what is composed next: a response that has begun nothing. */
void composeFor(const Slot &slot);

/* The lines of the app's added fields that a head does not have. */
std::string addedLines(const Head &head, const App &app);

/* The fields of a valid block as lines, without those that the server decides about. */
std::string fieldLines(const Head &head);

/* The fields of a head that is not composed as text; they refer to what they were made of. */
class FieldList {
public:
  /* RFC 9113 section 8.2.1 takes no white space around a value, where HTTP/1.1 means nothing by it. */
  void add(std::string_view name, std::string_view value) {
    value = trim(value);
    carrier_field field{name.data(), name.length(), value.data(), value.length()};
    if (count < USUAL) {
      usual[count++] = field;
      return;
    }
    if (more.empty()) {
      more.assign(usual, usual + USUAL);
    }
    more.push_back(field);
  }
  /* Content-Length. */
  void addLength(uint64_t length);
  std::span<const carrier_field> all() const {
    return more.empty() ? std::span<const carrier_field>(usual, count) : std::span<const carrier_field>(more);
  }

private:
  /* Most heads have no more, and need no memory of their own. */
  static constexpr size_t USUAL = 16;

  size_t count = 0;
  carrier_field usual[USUAL];
  /* All of them, where there are more. */
  std::vector<carrier_field> more;
  char digits[20];
};

/* The app's added fields that a head does not have. */
void listAdded(const Head &head, const App &app, FieldList &out);
/* The same fields as `compose` writes. */
void listFields(const Head &head, const HeadFacts &facts, App &app, Framing framing, uint64_t length, FieldList &out);
/* Those of fieldLines. */
void listFields(const Head &head, FieldList &out);

} // namespace sk
#endif
