/* X-Forwarded-For and X-Forwarded-Proto, of proxies that are trusted. */
#ifndef SK_PROXY_FORWARDED_H
#define SK_PROXY_FORWARDED_H

#include "http/engine.h"

#include <string>
#include <string_view>

namespace sk {

/* The client of one request, as trusted proxies say. */
struct Forwarded {
  std::string address; /* packed; empty when they say nothing */
  int port = 0;
  enum Scheme { Unknown, Http, Https } scheme = Unknown;
};

/* Where proxies are that are believed. */
class TrustedNetworks {
public:
  /* 17 bytes each: an address, of IPv4 mapped into IPv6, and the length of its prefix in bits. */
  void assign(std::string_view given) { networks.assign(given); }
  /* Whether a packed address, or a Unix-domain socket, is among them. */
  bool contain(std::string_view packed) const;

private:
  std::string networks;
};

/* The packed address of the connection's other end: the client's or, most often, a proxy's. */
std::string peerOf(HttpResponse *response);

/* What the fields of a request of a trusted peer say. */
Forwarded readForwarded(const uWS::HttpRequest &request, const TrustedNetworks &trusted);

} // namespace sk
#endif
