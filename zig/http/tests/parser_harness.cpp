/* include/HttpParser.h over real handlers: the same events for every fragmentation, held requests, handlers that stop.
 *
 * A test of `zig build test`: exits with 0 when all is right. */
#include "HttpParser.h"

#include <cstdio>
#include <vector>

using uWS::FULLPTR;
using uWS::HttpParser;
using uWS::HttpRequest;

namespace {

int failures = 0;

void check(bool right, const char *what, size_t detail) {
  if (!right) {
    failures++;
    std::fprintf(stderr, "wrong: %s (%zu)\n", what, detail);
  }
}

struct Connection {
  HttpParser parser;
  std::string events;
  bool held = false;
  bool holdAfterEach = false;
  bool stopAtRequest = false;
  bool dead = false;

  /* False when the connection is over. */
  bool feed(std::string_view bytes) {
    /* As from the socket: a buffer of its own, overwritten afterwards. */
    std::vector<char> buffer(bytes.begin(), bytes.end());
    buffer.resize(bytes.length() + 32, '\r');
    auto [error, returned] = parser.consumePostPadded(
        buffer.data(), static_cast<unsigned int>(bytes.length()), this, nullptr,
        [this](void *user, HttpRequest *request) -> void * {
          events.append("<").append(request->rawMethod()).append(" ").append(request->getFullUrl());
          for (auto [name, value] : *request) {
            events.append("|").append(name).append("=").append(value);
          }
          events.append(">");
          held = holdAfterEach;
          return stopAtRequest ? nullptr : user;
        },
        [this](void *user, std::string_view data, bool fin) -> void * {
          events.append(data).append(fin ? "." : "");
          return user;
        });
    if (returned == FULLPTR) {
      events.append("!").append(std::to_string(error));
    }
    dead = returned != this;
    return !dead;
  }
};

bool isHeld(void *user) { return static_cast<Connection *>(user)->held; }

const std::string_view streams[] = {
    "GET /a?b HTTP/1.1\r\nHost: a\r\nX-Y: some long value, of more than sixteen bytes\r\n\r\n",
    "\r\nGET / HTTP/1.1\r\nHost: a:1\r\n\r\nPOST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /last "
    "HTTP/1.0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: v\r\n\r\nGET /n HTTP/1.1\r\nHost: "
    "a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nName : v\r\n\r\nGET /never HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: va\x01lue\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
};

std::string inPieces(std::string_view stream, size_t split, size_t piece) {
  Connection connection;
  size_t at = 0;
  while (at < stream.length()) {
    size_t length = at < split ? split - at : std::min(piece, stream.length() - at);
    if (!connection.feed(stream.substr(at, length))) {
      break;
    }
    at += length;
  }
  return connection.events;
}

void fragmentation() {
  for (std::string_view stream : streams) {
    std::string whole = inPieces(stream, 0, stream.length());
    check(!whole.empty(), "a stream has events", 0);
    check(whole.find("smuggled") == std::string::npos && whole.find("never") == std::string::npos,
          "nothing is parsed after an error", 0);
    for (size_t split = 0; split < stream.length(); split++) {
      std::string events = inPieces(stream, split, stream.length());
      /* A body may arrive in other pieces: the events only join them. */
      if (events != whole) {
        std::fprintf(stderr, "%s\n%s\n", whole.c_str(), events.c_str());
      }
      check(events == whole, "same events for every split", split);
    }
    check(inPieces(stream, 0, 1) == whole, "same events byte by byte", 1);
  }
}

void holding() {
  HttpParser::holdNext = isHeld;
  Connection connection;
  connection.holdAfterEach = true;
  connection.feed("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HT");
  connection.feed("TP/1.1\r\nHost: a\r\n\r\n");
  check(connection.events == "<GET /1|host=a>.", "the next request waits", 1);
  connection.held = false;
  connection.feed({});
  check(connection.events == "<GET /1|host=a>.<GET /2|host=a>.", "an empty call continues", 2);
  connection.held = false;
  connection.feed({});
  check(connection.events.find("<GET /3|host=a>.") != std::string::npos, "what arrived while held is kept", 3);
  HttpParser::holdNext = nullptr;
}

void stopping() {
  Connection connection;
  connection.stopAtRequest = true;
  connection.feed("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
  check(connection.dead && connection.events == "<GET /1|host=a>", "a handler that stops is the last", 0);
}

/* A request line or a field without end is refused at its limit, however slowly it arrives. */
void boundedStash() {
  for (std::string_view begin : {"", "GET /", "GET / HTTP/1.1\r\nHost: a\r\nX: ", "GET / HTTP/1.1\r\nHost: a\r\n"}) {
    Connection connection;
    bool alive = connection.feed(begin);
    size_t sent = 0;
    while (alive && sent < 100000) {
      alive = connection.feed("a");
      sent++;
    }
    check(!alive, "an endless head is refused", sent);
  }
}

} // namespace

int main() {
  fragmentation();
  holding();
  stopping();
  boundedStash();
  return failures != 0;
}
