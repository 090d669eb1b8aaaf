/* What proxies that are trusted say of their clients: Forwarded (RFC 7239), and the fields of X-Forwarded-. */
#ifndef SK_PROXY_FORWARDED_H
#define SK_PROXY_FORWARDED_H

#include "http/engine.h"

#include <string>
#include <string_view>

namespace sk {

/* The client of one request, and what it asked for, as trusted proxies say; empty where they say nothing. */
struct Forwarded {
  std::string address; /* packed */
  int port = 0;
  enum Scheme { Unknown, Http, Https } scheme = Unknown;
  /* Host and port that the client asked for. */
  std::string authority;
  int server_port = 0;
  /* What a proxy took off the path: begins with a slash, and does not end with one. */
  std::string prefix;
};

/* Which proxies are believed, and what they may say. */
class Trust {
public:
  /* Networks are 17 bytes each: an address, of IPv4 mapped into IPv6, and the length of its prefix in bits. With a number of
   * proxies their addresses do not matter. `fields` are SK_FORWARDED_*. */
  void assign(std::string_view given, uint32_t proxies, uint32_t fields) {
    networks.assign(given);
    hops = proxies;
    believed = fields;
  }
  bool isGiven() const { return believed != 0; }
  /* Whether the other end of a connection, a packed address or a Unix-domain socket, is a trusted proxy. */
  bool believesPeer(std::string_view packed) const { return hops || contain(packed); }
  /* The same for one of those before it, the nearest of which has number 1. */
  bool believes(uint32_t number, std::string_view packed) const { return hops ? number < hops : contain(packed); }
  bool takes(uint32_t field) const { return believed & field; }

private:
  bool contain(std::string_view packed) const;

  std::string networks;
  uint32_t hops = 0;
  uint32_t believed = 0;
};

/* The packed address of the connection's other end: the client's or, most often, a proxy's. */
std::string peerOf(HttpResponse *response);

/* Takes what the fields of a request of a trusted peer say; what they do not say stays. */
void readForwarded(const uWS::HttpRequest &request, const Trust &trust, Forwarded &found);

/* What takes the place of a request's Host: what proxies say, with the port that they name unless it is the scheme's own; empty
 * where Host is right. */
std::string authorityOf(const Forwarded &forwarded, std::string_view host, bool secure);

/* The parts of an authority; the port is empty without one. */
std::string_view hostOf(std::string_view authority);
std::string_view portTextOf(std::string_view authority);

} // namespace sk
#endif
