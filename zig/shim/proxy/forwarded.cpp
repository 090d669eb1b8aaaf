#include "proxy/forwarded.h"

#include "http/ascii.h"
#include "http/bytes.h"

#include <arpa/inet.h>
#include <cstring>

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

} // namespace

bool TrustedNetworks::contain(std::string_view packed) const {
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
  std::string_view proxied = response->getProxiedRemoteAddress();
  if (!proxied.empty()) {
    return std::string(proxied);
  }
  char address[V6_BYTES];
  int length = sizeof(address);
  us_socket_remote_address(0, raw(response), address, &length);
  return {address, static_cast<size_t>(length)};
}

/* The client is the last one that is no trusted proxy; when all of them are, the first. What is no address says that nobody
 * knows who was before: the proxy that wrote it counts as the client. */
Forwarded readForwarded(const uWS::HttpRequest &request, const TrustedNetworks &trusted) {
  std::string chain;
  std::string_view protocol;
  for (auto [name, value] : request) {
    if (name == "x-forwarded-for") {
      chain.append(chain.empty() ? "" : ",").append(value);
    } else if (name == "x-forwarded-proto") {
      /* Of a list the last counts: the nearest proxy wrote it. */
      std::string_view list = value;
      protocol = takeLast(list);
    }
  }
  Forwarded found;
  /* Schemes are the same in either case (RFC 3986 section 3.1). */
  found.scheme = equalsLower(protocol, "https") || equalsLower(protocol, "wss") ? Forwarded::Https
                 : equalsLower(protocol, "http") || equalsLower(protocol, "ws") ? Forwarded::Http
                                                                                : Forwarded::Unknown;
  std::string_view rest = chain;
  std::string address;
  int port;
  for (std::string_view node = takeLast(rest); !node.empty(); node = takeLast(rest)) {
    if (!parseNode(node, address, port)) {
      break;
    }
    found.address = address;
    found.port = port;
    if (!trusted.contain(address)) {
      break;
    }
  }
  return found;
}

} // namespace sk
