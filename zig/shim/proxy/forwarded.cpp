#include "proxy/forwarded.h"

#include "abi/socketify.h"
#include "http/ascii.h"
#include "http/bytes.h"

#include <arpa/inet.h>
#include <cstring>
#include <vector>

namespace sk {

namespace {

constexpr size_t V4_BYTES = 4, V6_BYTES = 16, NETWORK_BYTES = V6_BYTES + 1;
constexpr char V4_PREFIX[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '\xff', '\xff'};

/* The last element of a list that has one; `list` loses it. */
std::string_view takeLast(std::string_view &list) {
  while (!list.empty()) {
    size_t comma = list.rfind(',');
    bool only = comma == std::string_view::npos;
    std::string_view last = trim(only ? list : list.substr(comma + 1));
    list = only ? std::string_view() : list.substr(0, comma);
    if (!last.empty()) {
      return last;
    }
  }
  return {};
}

std::string_view lastOf(std::string_view list) { return takeLast(list); }

/* 0 for what is no port. */
int portOf(std::string_view text) {
  int port = 0;
  for (char c : text) {
    if (c < '0' || c > '9' || text.length() > 5) {
      return 0;
    }
    port = port * 10 + (c - '0');
  }
  return port <= 65535 ? port : 0;
}

/* "1.2.3.4", "1.2.3.4:80", "::1", "[::1]" or "[::1]:80". False for anything else, such as "unknown". */
bool parseNode(std::string_view text, std::string &packed, int &port) {
  port = 0;
  if (!text.empty() && text.front() == '[') {
    size_t end = text.find(']');
    if (end == std::string_view::npos) {
      return false;
    }
    std::string_view after = text.substr(end + 1);
    port = !after.empty() && after.front() == ':' ? portOf(after.substr(1)) : 0;
    text = text.substr(1, end - 1);
  } else if (size_t colon = text.find(':'); colon != std::string_view::npos && text.rfind(':') == colon) {
    port = portOf(text.substr(colon + 1));
    text = text.substr(0, colon);
  }
  char terminated[INET6_ADDRSTRLEN];
  char bytes[V6_BYTES];
  if (text.length() >= sizeof(terminated)) {
    return false;
  }
  *put(terminated, text) = 0;
  if (inet_pton(AF_INET, terminated, bytes) == 1) {
    packed.assign(bytes, V4_BYTES);
    return true;
  }
  if (inet_pton(AF_INET6, terminated, bytes) != 1) {
    return false;
  }
  bool mapped = memcmp(bytes, V4_PREFIX, sizeof(V4_PREFIX)) == 0;
  packed.assign(bytes + (mapped ? sizeof(V4_PREFIX) : 0), mapped ? V4_BYTES : V6_BYTES);
  return true;
}

bool equalsPrefix(const char *a, const char *b, unsigned bits) {
  if (memcmp(a, b, bits / 8) != 0) {
    return false;
  }
  unsigned rest = bits % 8;
  unsigned char mask = static_cast<unsigned char>(0xff00 >> rest);
  return !rest || ((a[bits / 8] ^ b[bits / 8]) & mask) == 0;
}

/* Schemes are the same in either case (RFC 3986 section 3.1). */
Forwarded::Scheme schemeOf(std::string_view text) {
  return equalsLower(text, "https") || equalsLower(text, "wss") ? Forwarded::Https
         : equalsLower(text, "http") || equalsLower(text, "ws") ? Forwarded::Http
                                                                : Forwarded::Unknown;
}

bool isAuthority(std::string_view text) { return !text.empty() && uWS::http_is_authority(text.data(), text.length()); }

/* A path that needs no escapes. */
bool isPrefix(std::string_view text) {
  for (unsigned char c : text) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!plain && std::string_view("/-._~!$&'()*+,;=:@").find(static_cast<char>(c)) == std::string_view::npos) {
      return false;
    }
  }
  /* Two slashes would begin with a host, where somebody makes a link of it. */
  return text.length() > 1 && text[0] == '/' && text[1] != '/';
}

/* Follows the way of a request back to its client: that is the last one that is no trusted proxy; when all of them are, the first.
 * What is no address says that nobody knows who was before: the proxy that wrote it counts as the client. */
class Way {
public:
  Way(const Trust &trust, Forwarded &found) : trust(trust), found(found) {}

  /* False when whoever was before this one is not believed. */
  bool goBack(std::string_view node) {
    std::string address;
    int port;
    if (!parseNode(node, address, port)) {
      return false;
    }
    bool goes_on = trust.believes(++number, address);
    found.address = std::move(address);
    found.port = port;
    return goes_on;
  }

private:
  const Trust &trust;
  Forwarded &found;
  uint32_t number = 0;
};

/* An element of Forwarded (RFC 7239 section 4). */
struct Element {
  std::string node, host, scheme;
};

/* Walks the pairs of Forwarded. */
class PairReader {
public:
  explicit PairReader(std::string_view text) : rest(text) {}

  /* False when it is no list of the RFC's. */
  bool read(std::vector<Element> &elements) {
    elements.emplace_back();
    while (skipSpace(), !rest.empty()) {
      if (rest[0] == ',' || rest[0] == ';') {
        if (rest[0] == ',') {
          elements.emplace_back();
        }
        rest.remove_prefix(1);
        continue;
      }
      if (!readPair(elements.back())) {
        return false;
      }
    }
    return true;
  }

private:
  std::string_view rest;

  void skipSpace() { rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.length())); }

  bool readPair(Element &element) {
    size_t equals = rest.find('=');
    if (equals == std::string_view::npos || equals == 0 ||
        rest.substr(0, equals).find_first_of(" \t,;\"") != std::string_view::npos) {
      return false;
    }
    std::string_view name = rest.substr(0, equals);
    rest.remove_prefix(equals + 1);
    std::string value;
    if (!readValue(value)) {
      return false;
    }
    std::string ignored;
    std::string &place = equalsLower(name, "for")     ? element.node
                         : equalsLower(name, "host")  ? element.host
                         : equalsLower(name, "proto") ? element.scheme
                                                      : ignored;
    place = std::move(value);
    skipSpace();
    return rest.empty() || rest[0] == ',' || rest[0] == ';';
  }

  bool readValue(std::string &value) {
    if (rest.empty() || rest[0] != '"') {
      size_t end = std::min(rest.find_first_of(" \t,;\""), rest.length());
      value = rest.substr(0, end);
      rest.remove_prefix(end);
      return !value.empty();
    }
    for (rest.remove_prefix(1); !rest.empty() && rest[0] != '"'; rest.remove_prefix(1)) {
      if (rest[0] == '\\') {
        rest.remove_prefix(1);
        if (rest.empty()) {
          return false;
        }
      }
      value += rest[0];
    }
    if (rest.empty()) {
      return false;
    }
    rest.remove_prefix(1);
    return true;
  }
};

/* Each proxy says in one element who it was asked by, for which host and by which scheme: those of the client's count. */
void readElements(std::string_view text, const Trust &trust, Forwarded &found) {
  std::vector<Element> elements;
  if (!PairReader(text).read(elements)) {
    return;
  }
  Way way(trust, found);
  for (auto element = elements.rbegin(); element != elements.rend(); ++element) {
    if (element->node.empty() && element->host.empty() && element->scheme.empty()) {
      /* RFC 9110 section 5.6.1.2: empty elements of a list count for nothing. */
      continue;
    }
    if (schemeOf(element->scheme) != Forwarded::Unknown) {
      found.scheme = schemeOf(element->scheme);
    }
    if (isAuthority(element->host)) {
      found.authority = element->host;
    }
    if (!way.goBack(element->node)) {
      break;
    }
  }
}

/* The fields of a request by name, those that are repeated with commas between. */
struct Said {
  std::string forwarded, nodes;
  std::string_view scheme, host, port, prefix;
};

/* Of lists but the nodes' the last member counts: the nearest proxy wrote it. */
Said collect(const uWS::HttpRequest &request, const Trust &trust) {
  Said said;
  auto append = [](std::string &list, std::string_view value) { list.append(list.empty() ? "" : ",").append(value); };
  for (auto [name, value] : request) {
    if (name.length() < std::string_view("forwarded").length()) {
      continue;
    }
    if (name == "forwarded" && trust.takes(SK_FORWARDED)) {
      append(said.forwarded, value);
    } else if (name == "x-forwarded-for" && trust.takes(SK_FORWARDED_FOR)) {
      append(said.nodes, value);
    } else if (name == "x-forwarded-proto" && trust.takes(SK_FORWARDED_PROTO)) {
      said.scheme = lastOf(value);
    } else if (name == "x-forwarded-host" && trust.takes(SK_FORWARDED_HOST)) {
      said.host = lastOf(value);
    } else if (name == "x-forwarded-port" && trust.takes(SK_FORWARDED_PORT)) {
      said.port = lastOf(value);
    } else if (name == "x-forwarded-prefix" && trust.takes(SK_FORWARDED_PREFIX)) {
      said.prefix = lastOf(value);
    }
  }
  return said;
}

} // namespace

bool Trust::contain(std::string_view packed) const {
  char address[V6_BYTES];
  if (packed.length() == V4_BYTES) {
    memcpy(address, V4_PREFIX, sizeof(V4_PREFIX));
    memcpy(address + sizeof(V4_PREFIX), packed.data(), V4_BYTES);
  } else if (packed.length() == V6_BYTES) {
    memcpy(address, packed.data(), V6_BYTES);
  } else {
    /* Whoever can reach a Unix-domain socket may be believed. */
    return true;
  }
  for (size_t i = 0; i + NETWORK_BYTES <= networks.length(); i += NETWORK_BYTES) {
    if (equalsPrefix(address, networks.data() + i, static_cast<unsigned char>(networks[i + V6_BYTES]))) {
      return true;
    }
  }
  return false;
}

std::string peerOf(HttpResponse *response) {
  const uWS::ProxyFacts *facts = httpData(response)->proxyParser.facts();
  if (facts && facts->family != uWS::ProxyFacts::Unknown) {
    return facts->family == uWS::ProxyFacts::Internet ? facts->source : std::string();
  }
  char address[V6_BYTES];
  int length = sizeof(address);
  us_socket_remote_address(0, raw(response), address, &length);
  return {address, static_cast<size_t>(length)};
}

void readForwarded(const uWS::HttpRequest &request, const Trust &trust, Forwarded &found) {
  Said said = collect(request, trust);
  Way way(trust, found);
  std::string_view rest = said.nodes;
  for (std::string_view node = takeLast(rest); !node.empty() && way.goBack(node); node = takeLast(rest)) {
  }
  if (schemeOf(said.scheme) != Forwarded::Unknown) {
    found.scheme = schemeOf(said.scheme);
  }
  if (isAuthority(said.host)) {
    found.authority = said.host;
  }
  if (int port = portOf(said.port)) {
    found.server_port = port;
  }
  if (isPrefix(said.prefix)) {
    size_t end = said.prefix.find_last_not_of('/');
    found.prefix = said.prefix.substr(0, end + 1);
  }
  if (!said.forwarded.empty()) {
    /* The standard's field says the same with more care. */
    readElements(said.forwarded, trust, found);
  }
}

std::string_view portTextOf(std::string_view authority) {
  size_t colon = authority.rfind(':');
  /* An IPv6 literal has colons of its own, inside brackets. */
  bool has_port = colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
  return has_port ? authority.substr(colon + 1) : std::string_view();
}

std::string_view hostOf(std::string_view authority) {
  size_t colon = authority.rfind(':');
  bool has_port = colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
  return has_port ? authority.substr(0, colon) : authority;
}

std::string authorityOf(const Forwarded &forwarded, std::string_view host, bool secure) {
  if (forwarded.authority.empty() && !forwarded.server_port) {
    return {};
  }
  std::string authority(forwarded.authority.empty() ? host : std::string_view(forwarded.authority));
  if (forwarded.server_port && !authority.empty()) {
    authority.assign(std::string(hostOf(authority)));
    if (forwarded.server_port != (secure ? 443 : 80)) {
      authority.append(":").append(std::to_string(forwarded.server_port));
    }
  }
  return authority == host ? std::string() : authority;
}

} // namespace sk
