/* Stands in for the engine's header of this name: its HttpRequest and HttpParser, over the parser in Zig.
 *
 * The engine's HttpContext and HttpRouter use the members that their own version has; the shim uses the others. */
#ifndef UWS_HTTPPARSER_H
#define UWS_HTTPPARSER_H

#include "ChunkedEncoding.h"
#include "HttpErrors.h"
#include "MoveOnlyFunction.h" // the engine expects it from here
#include "ProxyParser.h"
#include "QueryParser.h"

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace uWS {

/* What a parser returns instead of its user when the request is refused. */
static void *FULLPTR = (void *)~(uintptr_t)0;

struct HttpField {
  HttpText name, value;
};

/* Filled by http_parse_head (zig/http/head.zig holds the same struct). */
struct HttpHead {
  static constexpr unsigned int MAX_FIELDS = 128;

  HttpText method, target, host, origin, fieldLines;
  uint64_t contentLength;
  uint32_t fieldCount;
  bool ancient, close, chunked, expectsContinue, hasLength, slashAdded;
  HttpField fields[MAX_FIELDS];
};

/* Bytes of the head, 0 when more is needed, or a negated HttpError. */
extern "C" int32_t http_parse_head(char *data, size_t length, const HttpLimits *limits, HttpHead *head);

/* Whether a text is what Host may say: a host, and perhaps a port. */
extern "C" bool http_is_authority(const char *text, size_t length);

struct HttpRequest {
  friend struct HttpParser;

  bool isAncient() const { return head.ancient; }
  /* It came on a stream of HTTP/2. */
  bool isOfStream() const { return ofStream; }
  /* An extended CONNECT for a websocket (RFC 8441), whose method is GET as that of any other one. */
  bool isExtended() const { return extended; }
  bool getYield() const { return yielded; }
  void setYield(bool yield) { yielded = yield; }

  struct HeaderIterator {
    const HttpField *field;

    bool operator!=(const HeaderIterator &other) const { return field != other.field; }
    HeaderIterator &operator++() {
      field++;
      return *this;
    }
    std::pair<std::string_view, std::string_view> operator*() const { return {field->name, field->value}; }
  };

  HeaderIterator begin() const { return {head.fields}; }
  HeaderIterator end() const { return {head.fields + head.fieldCount}; }

  /* The first field of that name, or a view of nullptr. Expect is hidden from the engine, which would answer it
   * before anybody looked at the request. */
  std::string_view getHeader(std::string_view lowerCasedHeader) const {
    if (lowerCasedHeader == "expect") {
      return {nullptr, 0};
    }
    return header(lowerCasedHeader);
  }

  std::string_view header(std::string_view lowerCasedHeader) const {
    for (uint32_t i = 0; i < head.fieldCount; i++) {
      const HttpField &field = head.fields[i];
      if (field.name.length == lowerCasedHeader.length() && std::string_view(field.name) == lowerCasedHeader) {
        return field.value;
      }
    }
    return {nullptr, 0};
  }

  std::string_view getUrl() const { return std::string_view(head.target).substr(0, pathLength); }
  std::string_view getFullUrl() const { return head.target; }
  /* Scheme and authority of absolute-form, as they were sent. */
  std::string_view origin() const { return head.origin; }
  /* The URL begins with a slash that absolute-form did not have. */
  bool isSlashAdded() const { return head.slashAdded; }
  /* What Host says, or else the authority of the target. */
  std::string_view host() const { return head.host; }
  /* All field lines as they were sent but with lowered names: what a target in absolute-form says of the host is not among them. */
  std::string_view fieldLines() const { return head.fieldLines; }
  std::string_view rawMethod() const { return head.method; }

  /* The router's name for the method: its own, or "?" for those that it does not know. */
  std::string_view getCaseSensitiveMethod() const {
    static constexpr std::string_view known[] = {"GET", "POST", "HEAD", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};
    for (std::string_view method : known) {
      if (method == std::string_view(head.method)) {
        return method;
      }
    }
    return "?";
  }

  std::string_view getMethod() const { return head.method; }

  std::string_view getQuery() const {
    std::string_view target = head.target;
    return pathLength < target.length() ? target.substr(pathLength + 1) : std::string_view(nullptr, 0);
  }

  std::string_view getQuery(std::string_view key) const {
    return getDecodedQueryValue(key, std::string_view(head.target).substr(pathLength));
  }

  void setParameters(std::pair<int, std::string_view *> values) { parameters = values; }

  int parameterCount() const { return parameters.first + 1; }

  std::string_view getParameter(unsigned short index) const {
    return index < parameterCount() ? parameters.second[index] : std::string_view();
  }

  bool connectionClose() const { return head.close; }
  bool expectsContinue() const { return head.expectsContinue; }
  uint64_t contentLength() const { return head.contentLength; }
  bool tellsLength() const { return head.hasLength; }
  bool isChunked() const { return head.chunked; }
  bool hasBody() const { return head.chunked || head.contentLength > 0; }

  /* A head that was read elsewhere, of a stream that has one request. */
  void take(const HttpHead &read, bool isExtended) {
    memcpy(static_cast<void *>(&head), &read, offsetof(HttpHead, fields) + read.fieldCount * sizeof(HttpField));
    head.close = true;
    interpret();
    ofStream = true;
    extended = isExtended;
    if (extended) {
      static char method[] = "GET";
      head.method.data = method;
      head.method.length = sizeof(method) - 1;
      head.chunked = false;
    }
  }

  /* A proxy that is trusted says for whom the request was. The text must live as long as the request is read. */
  void putHost(std::string_view host) {
    head.host = {const_cast<char *>(host.data()), host.length()};
    putField("host", host);
  }

  /* The value of the first field of that name, which is added where there is none, and room. Both texts must live as long as the
   * request is read; what was sent stays in `fieldLines`. */
  void putField(std::string_view lowerCasedName, std::string_view value) {
    HttpText text{const_cast<char *>(value.data()), value.length()};
    for (uint32_t i = 0; i < head.fieldCount; i++) {
      if (std::string_view(head.fields[i].name) == lowerCasedName) {
        head.fields[i].value = text;
        return;
      }
    }
    if (head.fieldCount < HttpHead::MAX_FIELDS) {
      head.fields[head.fieldCount++] = {{const_cast<char *>(lowerCasedName.data()), lowerCasedName.length()}, text};
    }
  }

  /* All of the body has arrived. */
  void knowLength(uint64_t length) {
    head.chunked = false;
    head.contentLength = length;
  }

private:
  HttpHead head;
  size_t pathLength;
  bool yielded;
  bool ofStream;
  bool extended;
  std::pair<int, std::string_view *> parameters;

  void interpret() {
    std::string_view target = head.target;
    pathLength = std::min(target.find('?'), target.length());
    yielded = false;
    ofStream = false;
    extended = false;
    parameters = {-1, nullptr};
  }
};

/* What a connection is between, once somebody asked. */
struct HttpEnds {
  /* The addresses of both ends as text. */
  std::string endpoints;
  /* Of a Unix-domain socket, with the endpoints: the path that it is bound to. */
  std::string localPath;
};

struct HttpParser {
  /* Asked before each request: true keeps what has arrived until a later call, which may bring no bytes. */
  static inline bool (*holdNext)(void *user) = nullptr;
  /* Asks for such a later call. */
  static inline void (*callAgain)(void *user) = nullptr;

  const HttpLimits *limits = &defaultLimits();
  /* Bytes that arrived behind the request that is being handled. */
  std::string_view unread;
  std::unique_ptr<HttpEnds> ends;

  /* The engine's entry: {error, FULLPTR} for a refused request; what a handler returned if it is not `user`, and then
   * this object may be freed; else {0, user}. */
  template <typename RequestHandler, typename DataHandler>
  std::pair<unsigned int, void *> consumePostPadded(char *data, unsigned int length, void *user, void *reserved,
                                                    RequestHandler &&onRequest, DataHandler &&onData) {
    Call<RequestHandler, DataHandler> call{user, onRequest, onData};
    if (stash.empty()) {
      return consume(call, data, length, reserved);
    }
    stash.append(data, length);
    /* Within a field's value only control characters and the limit decide anything: no need to start anew. */
    if (inValue && stash.length() <= limits->maxHeaderBytes && isPlain({data, length})) {
      return {0, user};
    }
    /* Handlers may destroy this object: the bytes they look at must outlive it. */
    std::string bytes = std::move(stash);
    stash.clear();
    return consume(call, bytes.data(), bytes.length(), reserved);
  }

  /* Part of a head has arrived, and the rest is waited for. */
  bool hasPartialHead() const { return partial; }

  /* After a request was refused for its version: what arrived, which may be a preface of HTTP/2. */
  std::string takeRefused() { return std::exchange(stash, {}); }

  /* Of a request whose body is read elsewhere: what follows, and what has arrived of it. */
  void expectBody(const HttpRequest &request) {
    chunked = request.isChunked();
    remaining = request.contentLength();
  }
  void countBody(size_t length) { remaining -= std::min<uint64_t>(remaining, length); }

  /* Requests were kept until a later call. */
  bool holdsRequests() const { return !partial && !stash.empty(); }
  /* Bytes of the body under way that have not arrived; nothing when the client did not declare how many. */
  std::optional<uint64_t> bodyRemaining() const { return chunked ? std::nullopt : std::optional(remaining); }

private:
  template <typename RequestHandler, typename DataHandler> struct Call {
    void *user;
    RequestHandler &onRequest;
    DataHandler &onData;
    unsigned int requests = 0;
  };

  std::string stash;
  uint64_t remaining = 0;
  ChunkedDecoder decoder;
  unsigned int failure = 0;
  bool chunked = false;
  /* The stash ends within a field's value. */
  bool inValue = false;
  bool partial = false;

  static const HttpLimits &defaultLimits() {
    static const HttpLimits limits;
    return limits;
  }

  static bool isPlain(std::string_view bytes) {
    for (char c : bytes) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
        return false;
      }
    }
    return true;
  }

  static bool endsInValue(std::string_view head) {
    size_t newline = head.rfind('\n');
    /* The first line may be the empty one that is tolerated: the request line has no field then. */
    return newline != std::string_view::npos && newline > 1 && head.back() != '\r' &&
           head.find(':', newline) != std::string_view::npos;
  }

  bool bodyActive() const { return chunked || remaining; }

  template <typename C> std::pair<unsigned int, void *> consume(C &call, char *data, size_t length, void *reserved) {
    HttpText input{data, length};
    inValue = partial = false;
    if (auto *proxy = static_cast<ProxyParser *>(reserved); limits->proxyMode != ProxyMode::Off && !proxy->isDone()) {
      ProxyHeader header = proxy->parse(input, limits->proxyMode);
      if (header.step == ProxyStep::REFUSED) {
        return refuse(call, HTTP_ERROR_400_BAD_REQUEST, input);
      }
      if (header.step == ProxyStep::MORE) {
        stash.assign(input.data, input.length);
        partial = !stash.empty();
        return {0, call.user};
      }
      input.data += header.length;
      input.length -= header.length;
    }
    while (true) {
      if (bodyActive()) {
        void *returned = consumeBody(call, input);
        if (returned != call.user) {
          /* Only after a refusal is this object sure to be alive still. */
          return {returned == FULLPTR ? failure : 0, returned};
        }
        if (bodyActive()) {
          return {0, call.user};
        }
      }
      if (!input.length && !failure) {
        return {0, call.user};
      }
      if (holdNext && holdNext(call.user)) {
        stash.assign(input.data, input.length);
        unread = {};
        return {0, call.user};
      }
      if (failure) {
        return {failure, FULLPTR};
      }
      HttpRequest request;
      int32_t consumed = http_parse_head(input.data, input.length, limits, &request.head);
      if (consumed < 0) {
        return refuse(call, static_cast<unsigned int>(-consumed), input);
      }
      if (consumed == 0) {
        stash.assign(input.data, input.length);
        inValue = endsInValue(stash);
        partial = true;
        unread = {};
        return {0, call.user};
      }
      input.data += consumed;
      input.length -= static_cast<size_t>(consumed);
      unread = {input.data, input.length};
      void *returned = deliver(call, request);
      if (returned != call.user) {
        return {0, returned};
      }
    }
  }

  /* Responses to earlier requests of the same packet are still in the cork buffer: they go first. */
  template <typename C> std::pair<unsigned int, void *> refuse(C &call, unsigned int error, const HttpText &input) {
    failure = error;
    if (!call.requests || !callAgain) {
      if (error == HTTP_ERROR_505_HTTP_VERSION_NOT_SUPPORTED) {
        stash.assign(input.data, input.length);
      }
      return {error, FULLPTR};
    }
    stash.assign(input.data, input.length);
    callAgain(call.user);
    return {0, call.user};
  }

  template <typename C> void *deliver(C &call, HttpRequest &request) {
    request.interpret();
    bool isChunked = request.head.chunked;
    uint64_t length = request.head.contentLength;
    call.requests++;
    void *returned = call.onRequest(call.user, &request);
    if (returned != call.user) {
      return returned;
    }
    chunked = isChunked;
    remaining = length;
    return bodyActive() ? call.user : call.onData(call.user, {}, true);
  }

  template <typename C> void *consumeBody(C &call, HttpText &input) {
    if (!chunked) {
      size_t count = static_cast<size_t>(std::min<uint64_t>(remaining, input.length));
      if (!count) {
        return call.user;
      }
      std::string_view piece(input.data, count);
      input.data += count;
      input.length -= count;
      remaining -= count;
      unread = {input.data, input.length};
      return call.onData(call.user, piece, remaining == 0);
    }
    while (input.length) {
      HttpText piece{nullptr, 0};
      int32_t step = http_chunk_step(&decoder, &input, limits, &piece);
      if (step < 0) {
        failure = static_cast<unsigned int>(-step);
        return FULLPTR;
      }
      if (step == CHUNKED_END) {
        chunked = false;
        unread = {input.data, input.length};
        return call.onData(call.user, {}, true);
      }
      if (step == CHUNKED_DATA) {
        void *returned = call.onData(call.user, piece, false);
        if (returned != call.user) {
          return returned;
        }
      }
    }
    return call.user;
  }
};

} // namespace uWS
#endif
