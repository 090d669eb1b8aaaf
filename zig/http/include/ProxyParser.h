/* Stands in for the engine's header of this name: the PROXY protocol in both versions, which says who the client of a proxy is
 * before anything else of a connection (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt).
 *
 * The engine's own takes the bytes of an address that a short header does not have from memory, and refuses what many load
 * balancers add behind the addresses. */
#ifndef UWS_PROXY_PARSER_H
#define UWS_PROXY_PARSER_H

#include <algorithm>
#include <arpa/inet.h>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace uWS {

enum class ProxyStep : uint8_t { MORE, DONE, REFUSED };

/* What connections begin with. */
enum class ProxyMode : uint8_t {
  Off,      /* no header: it would be taken for a request */
  Optional, /* a header, or a request */
  Required  /* a header */
};

struct ProxyHeader {
  ProxyStep step;
  /* Bytes of the header, once it is done. */
  size_t length;
};

/* Whom a proxy speaks for. */
struct ProxyFacts {
  enum Family : uint8_t {
    Unknown, /* the proxy speaks for itself, or does not know */
    Internet,
    Unix
  } family = Unknown;
  /* 4 or 16 bytes in network order, or a path; the client's, and where it connected to. */
  std::string source, destination;
  uint16_t sourcePort = 0, destinationPort = 0;
  /* What follows the addresses of version 2, unchecked: type, length and value of each fact. */
  std::string tlvs;
  /* The client spoke TLS with the proxy. */
  bool secure = false;
};

class ProxyParser {
public:
  /* Null without a header. Connections of HTTP/2 share it with their streams. */
  const ProxyFacts *facts() const { return known.get(); }
  /* Whatever a connection begins with was read. */
  bool isDone() const { return done; }

  /* Nothing of this connection is a header any more. */
  void skip() { done = true; }

  /* For the engine. */
  std::string_view getSourceAddress() const {
    return known && known->family == ProxyFacts::Internet ? std::string_view(known->source) : std::string_view();
  }

  /* Reads what a connection begins with, as far as it has arrived; without a header nothing of it is. */
  ProxyHeader parse(std::string_view data, ProxyMode mode) {
    ProxyHeader header = begins(data, SIGNATURE) ? parseBinary(data) : begins(data, WORD) ? parseText(data) : absent(data, mode);
    done = header.step == ProxyStep::DONE;
    return header;
  }

private:
  static constexpr std::string_view SIGNATURE{"\r\n\r\n\0\r\nQUIT\n", 12};
  static constexpr std::string_view WORD = "PROXY ";
  /* A request may have one empty line before it, but not two; of a word, that no method has it. */
  static constexpr size_t DECISIVE = 4, FIXED = 16, TEXT_MAX = 107;
  static constexpr unsigned int LOCAL = 0x20, PROXY = 0x21;
  static constexpr unsigned int INET = 1, INET6 = 2, UNIX = 3, STREAM = 1, DATAGRAM = 2;
  static constexpr size_t PATH_BYTES = 108, TLV_FIXED = 3;
  static constexpr unsigned int TYPE_TLS = 0x20, CLIENT_SPEAKS_TLS = 1;

  std::shared_ptr<const ProxyFacts> known;
  bool done = false;

  static unsigned int byte(std::string_view data, size_t at) { return static_cast<unsigned char>(data[at]); }
  static unsigned int number(std::string_view data, size_t at) { return byte(data, at) << 8 | byte(data, at + 1); }

  /* Whether data begins so, as far as it has arrived. */
  static bool begins(std::string_view data, std::string_view wanted) {
    size_t compared = std::min(data.length(), wanted.length());
    return data.substr(0, compared) == wanted.substr(0, compared);
  }

  static ProxyHeader absent(std::string_view data, ProxyMode mode) {
    bool spoilt = data.substr(0, DECISIVE) == SIGNATURE.substr(0, DECISIVE);
    return {mode == ProxyMode::Required || spoilt ? ProxyStep::REFUSED : ProxyStep::DONE, 0};
  }

  ProxyHeader parseBinary(std::string_view data) {
    if (data.length() < FIXED) {
      return {ProxyStep::MORE, 0};
    }
    unsigned int command = byte(data, 12), family = byte(data, 13) >> 4, transport = byte(data, 13) & 15;
    size_t length = number(data, 14);
    if ((command != LOCAL && command != PROXY) || family > UNIX || transport > DATAGRAM) {
      return {ProxyStep::REFUSED, 0};
    }
    size_t bytes = family == INET ? 4 : family == INET6 ? 16 : family == UNIX ? PATH_BYTES : 0;
    size_t addresses = bytes ? 2 * bytes + (family == UNIX ? 0 : 4) : 0;
    /* What a proxy adds when it speaks for itself may be anything. */
    if (command == PROXY && length < addresses) {
      return {ProxyStep::REFUSED, 0};
    }
    if (data.length() < FIXED + length) {
      return {ProxyStep::MORE, 0};
    }
    auto facts = std::make_shared<ProxyFacts>();
    if (command == PROXY) {
      std::string_view rest = data.substr(FIXED, length);
      if (bytes && transport) {
        facts->family = family == UNIX ? ProxyFacts::Unix : ProxyFacts::Internet;
        facts->source = rest.substr(0, bytes);
        facts->destination = rest.substr(bytes, bytes);
      }
      if (facts->family == ProxyFacts::Internet) {
        facts->sourcePort = static_cast<uint16_t>(number(rest, 2 * bytes));
        facts->destinationPort = static_cast<uint16_t>(number(rest, 2 * bytes + 2));
      }
      facts->tlvs = rest.substr(addresses);
      facts->secure = speaksTls(facts->tlvs);
    }
    known = std::move(facts);
    return {ProxyStep::DONE, FIXED + length};
  }

  /* What does not fit ends the list. */
  static bool speaksTls(std::string_view rest) {
    while (rest.length() >= TLV_FIXED) {
      size_t length = number(rest, 1);
      if (length > rest.length() - TLV_FIXED) {
        return false;
      }
      if (byte(rest, 0) == TYPE_TLS && length && (byte(rest, TLV_FIXED) & CLIENT_SPEAKS_TLS)) {
        return true;
      }
      rest.remove_prefix(TLV_FIXED + length);
    }
    return false;
  }

  ProxyHeader parseText(std::string_view data) {
    size_t end = data.substr(0, TEXT_MAX).find('\n');
    if (end == std::string_view::npos) {
      return {data.length() < TEXT_MAX ? ProxyStep::MORE : ProxyStep::REFUSED, 0};
    }
    if (data[end - 1] != '\r') {
      return {ProxyStep::REFUSED, 0};
    }
    std::string_view line = data.substr(WORD.length(), end - 1 - WORD.length());
    std::string_view protocol = takeWord(line);
    auto facts = std::make_shared<ProxyFacts>();
    if (protocol == "TCP4" || protocol == "TCP6") {
      facts->family = ProxyFacts::Internet;
      int family = protocol == "TCP4" ? AF_INET : AF_INET6;
      std::string_view source = takeWord(line), destination = takeWord(line), port = takeWord(line);
      if (!takeAddress(family, source, facts->source) || !takeAddress(family, destination, facts->destination) ||
          !takePort(port, facts->sourcePort) || !takePort(line, facts->destinationPort)) {
        return {ProxyStep::REFUSED, 0};
      }
    } else if (protocol != "UNKNOWN") {
      return {ProxyStep::REFUSED, 0};
    }
    known = std::move(facts);
    return {ProxyStep::DONE, end + 1};
  }

  /* Up to the next space, which goes as well. */
  static std::string_view takeWord(std::string_view &line) {
    std::string_view word = line.substr(0, line.find(' '));
    line.remove_prefix(std::min(line.length(), word.length() + 1));
    return word;
  }

  static bool takeAddress(int family, std::string_view text, std::string &packed) {
    char terminated[INET6_ADDRSTRLEN], bytes[16];
    /* What follows a NUL would not be looked at. */
    if (text.length() >= sizeof(terminated) || text.find('\0') != std::string_view::npos) {
      return false;
    }
    *std::copy(text.begin(), text.end(), terminated) = 0;
    if (inet_pton(family, terminated, bytes) != 1) {
      return false;
    }
    packed.assign(bytes, family == AF_INET ? 4 : 16);
    return true;
  }

  static bool takePort(std::string_view text, uint16_t &port) {
    unsigned int value = 0;
    for (char c : text) {
      if (c < '0' || c > '9' || text.length() > 5) {
        return false;
      }
      value = value * 10 + static_cast<unsigned int>(c - '0');
    }
    port = static_cast<uint16_t>(value);
    return !text.empty() && value <= UINT16_MAX && (text.length() == 1 || text[0] != '0');
  }
};

} // namespace uWS
#endif
