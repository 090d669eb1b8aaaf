/* Stands in for the engine's header of this name: version 2 of the PROXY protocol, which says who the client of a proxy is.
 *
 * The engine's own takes the bytes of an address that a short header does not have from memory, and refuses what many load
 * balancers add behind the addresses. */
#ifndef UWS_PROXY_PARSER_H
#define UWS_PROXY_PARSER_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace uWS {

enum class ProxyStep : uint8_t { MORE, DONE, REFUSED };

struct ProxyHeader {
  ProxyStep step;
  /* Bytes of the header, once it is done. */
  size_t length;
};

class ProxyParser {
public:
  /* 4 or 16 bytes in network order; empty without a header, and where the proxy speaks for itself. */
  std::string_view getSourceAddress() const { return {address, addressLength}; }
  uint16_t getSourcePort() const { return port; }

  /* Reads what a connection begins with, as far as it has arrived: no header at all is done, too. */
  ProxyHeader parse(std::string_view data) {
    size_t common = 0;
    size_t compared = std::min(data.length(), SIGNATURE.length());
    while (common < compared && data[common] == SIGNATURE[common]) {
      common++;
    }
    if (common < compared) {
      /* A request may have one empty line before it, but not two. */
      return {common < DECISIVE ? ProxyStep::DONE : ProxyStep::REFUSED, 0};
    }
    if (data.length() < FIXED) {
      return {ProxyStep::MORE, 0};
    }
    unsigned int command = byte(data, 12), family = byte(data, 13);
    size_t length = number(data, 14);
    if ((command != LOCAL && command != PROXY) || family >> 4 > UNIX || length > LENGTH_MAX) {
      return {ProxyStep::REFUSED, 0};
    }
    size_t wanted = family >> 4 == INET ? 4 : family >> 4 == INET6 ? 16 : 0;
    if (command == LOCAL) {
      wanted = 0;
    }
    /* Two addresses and two ports; what follows them is none of ours. */
    if (wanted && length < 2 * wanted + 4) {
      return {ProxyStep::REFUSED, 0};
    }
    if (data.length() < FIXED + length) {
      return {ProxyStep::MORE, 0};
    }
    if (wanted) {
      memcpy(address, data.data() + FIXED, wanted);
      port = static_cast<uint16_t>(number(data, FIXED + 2 * wanted));
    }
    addressLength = static_cast<uint8_t>(wanted);
    return {ProxyStep::DONE, FIXED + length};
  }

private:
  static constexpr std::string_view SIGNATURE{"\r\n\r\n\0\r\nQUIT\n", 12};
  static constexpr size_t DECISIVE = 4, FIXED = 16;
  /* Addresses of Unix-domain sockets take 216; certificates of clients are described by their names only. */
  static constexpr size_t LENGTH_MAX = 4096;
  static constexpr unsigned int LOCAL = 0x20, PROXY = 0x21;
  static constexpr unsigned int INET = 1, INET6 = 2, UNIX = 3;

  char address[16] = {};
  uint16_t port = 0;
  uint8_t addressLength = 0;

  static unsigned int byte(std::string_view data, size_t at) { return static_cast<unsigned char>(data[at]); }
  static unsigned int number(std::string_view data, size_t at) { return byte(data, at) << 8 | byte(data, at + 1); }
};

} // namespace uWS
#endif
