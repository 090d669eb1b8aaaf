#include "http/app.h"
#include "http/ascii.h"
#include "http/body.h"
#include "http/bytes.h"
#include "http/callback.h"
#include "http/connection.h"
#include "http/response.h"
#include "http/send.h"
#include "http2/connection.h"
#include "websocket/upgrade.h"

#include <algorithm>
#include <cassert>
#include <ctime>
#include <utility>

namespace sk {

namespace {

constexpr std::string_view SERVER_PREFIX = "Server: ";
/* Of a name of the DNS (RFC 1035 section 2.3.4). */
constexpr size_t HOST_NAME_MAX_BYTES = 253;

std::string_view serverHeaderOf(const sk_app_options &options) {
  return options.server_header ? std::string_view(options.server_header, options.server_header_length) : std::string_view();
}

std::string hostNameOf(uWS::HttpRequest *request) {
  std::string_view host = request->header("host");
  size_t end = host.rfind(':');
  /* An IPv6 literal has colons of its own, inside brackets. */
  if (end != std::string_view::npos && host.find(']', end) == std::string_view::npos) {
    host = host.substr(0, end);
  }
  /* The root's dot makes no other name. */
  if (!host.empty() && host.back() == '.') {
    host.remove_suffix(1);
  }
  std::string name(host);
  std::transform(name.begin(), name.end(), name.begin(), toLower);
  return name;
}

/* Pipelined requests wait while their connection owes a response, or more output than it should. */
bool holdNextRequest(void *user) {
  auto *socket = static_cast<Socket *>(user);
  uint32_t tag = us_socket_tag(raw(socket));
  if (!tag) {
    return false;
  }
  Slot &slot = slotAt(tag);
  bool indebted = socket->getBufferedAmount() > slot.app->options.max_backpressure_bytes;
  /* RFC 9112 section 9.6: what follows the request whose response closes the connection is not processed. */
  bool closing = httpData(socket)->state & HttpData::HTTP_CONNECTION_CLOSE;
  if (!(slot.flags & PENDING) && !indebted && !closing) {
    return false;
  }
  if (!(slot.flags & PIPELINE_HELD)) {
    slot.flags |= PIPELINE_HELD;
    us_socket_pause(raw(socket));
  }
  if (indebted && !closing && !(slot.flags & PENDING)) {
    continueWhenWritable(slot);
  }
  return true;
}

ptrdiff_t onPreamble(void *user, const char *data, size_t length) {
  uWS::ProxyHeader header = uWS::ProxyParser().parse({data, length}, static_cast<uWS::HttpLimits *>(user)->proxyMode);
  bool done = header.step == uWS::ProxyStep::DONE;
  return done                                  ? static_cast<ptrdiff_t>(header.length)
         : header.step == uWS::ProxyStep::MORE ? US_PREAMBLE_MORE
                                               : US_PREAMBLE_REFUSED;
}

/* Told when the library is loaded: parsers of all threads read it. */
[[maybe_unused]] const bool parsers_are_told = [] {
  uWS::HttpParser::holdNext = holdNextRequest;
  uWS::HttpParser::callAgain = [](void *user) { us_socket_schedule_data(raw(static_cast<Socket *>(user))); };
  return true;
}();

void onWaiting(void *user, int reason, int waiting) {
  beforeCallback();
  auto *app = static_cast<App *>(user);
  if (app->metrics) {
    app->metrics->clientsWait(reason);
  }
  app->options.on_waiting(reason, waiting);
}

} // namespace

App::App(const sk_app_options &given, std::unique_ptr<Handler> on_missing)
    : options(given), on_missing(std::move(on_missing)), server_header(serverHeaderOf(given)) {
  if (options.server_header) {
    server_field = std::string(SERVER_PREFIX) + server_header + "\r\n";
  }
  limits.maxRequestLine = std::min<uint32_t>(options.max_target_bytes, SK_MAX_TARGET_BYTES);
  limits.maxHeaderBytes = std::min<uint32_t>(options.max_header_bytes, SK_MAX_HEADER_BYTES);
  limits.maxHeaderCount = std::min<uint32_t>(options.max_header_count, SK_MAX_HEADER_COUNT);
  limits.maxChunkExtensionBytes = options.max_chunk_extension_bytes;
  limits.maxTrailerBytes = options.max_trailer_bytes;
  limits.maxBody = options.max_body_bytes;
  limits.proxyMode = static_cast<uWS::ProxyMode>(options.proxy_protocol);

  us_socket_context_set_max_sockets(context(), options.max_connections);
  us_socket_context_set_protocols(context(), options.http_version != SK_HTTP_2, options.http_version != SK_HTTP_1);
  us_socket_context_set_backlog(context(), static_cast<int>(options.backlog));
  us_socket_context_on_waiting(context(), onWaiting, this);
  if (limits.proxyMode != uWS::ProxyMode::Off) {
    us_socket_context_on_preamble(context(), onPreamble, &limits);
  }
  engine.filter([this](HttpResponse *response, int change) {
    if (change > 0) {
      onOpen(response);
    } else {
      onClose(response);
    }
  });
  handleConnections(context());
}

App::~App() {
  if (carriers) {
    carrier_free_context(carriers);
  }
}

void App::onOpen(HttpResponse *response) {
  uint32_t index = allocateSlot();
  if (index == SLOT_COUNT) {
    countRefused(SK_METRIC_REFUSED_HANDLES);
    response->close();
    return;
  }
  Slot &slot = slotAt(index);
  slot.kind = Kind::Http;
  slot.socket = response;
  slot.app = this;
  us_socket_set_tag(raw(response), index);
  httpData(response)->limits = &limits;
  slot.request_handle = 0;
  slot.stream = us_socket_is_carried(raw(response));
  if (slot.stream) {
    httpData(response)->proxyParser = connectionOf(raw(response)).proxyParser;
    return;
  }
  if (secure) {
    readPreamble(response);
  }
  awaitFirstRequest(slot);
  connections++;
  if (metrics) {
    metrics->connectionOpened(secure);
  }
}

/* In front of TLS; inside of it there is no further one. */
void App::readPreamble(HttpResponse *response) {
  uWS::ProxyParser &parser = httpData(response)->proxyParser;
  size_t length = 0;
  const char *bytes = us_socket_preamble(raw(response), &length);
  if (length) {
    parser.parse({bytes, length}, limits.proxyMode);
  }
  parser.skip();
}

void App::onClose(HttpResponse *response) {
  uint32_t index = us_socket_tag(raw(response));
  if (!index) {
    return;
  }
  us_socket_set_tag(raw(response), 0);
  Slot &slot = slotAt(index);
  bool pending = slot.flags & PENDING;
  uint32_t handle = handleOf(slot);
  invalidateHandles(slot);
  delete std::exchange(slot.held, nullptr);
  slot.flags = 0;
  if (pending) {
    busy--;
    if (watched) {
      noteEnd(slot, true);
    }
    beforeCallback();
    options.on_abort(handle);
  }
  connectionClosed(slot);
}

void App::noteEnd(const Slot &slot, bool aborted) {
  int64_t now_ns = metrics || observer->log ? clock.read() : 0;
  if (observer) [[unlikely]] {
    observer->end(slot, aborted, now_ns);
  }
  if (metrics) {
    metrics->end(slot, aborted, now_ns);
  }
}

void App::connectionClosed(Slot &slot) {
  bool is_stream = slot.stream;
  if (observer) {
    observer->forget(slot);
  }
  if (compression) {
    compression->forget(slot);
  }
  if (slot.request) {
    /* A handler is running for it: onRequest releases the slot when it is done with it. */
    slot.flags = 0;
  } else {
    releaseSlot(indexOf(slot));
  }
  if (!is_stream) {
    connectionEnded();
  }
}

void App::connectionEnded() {
  assert(connections > 0);
  connections--;
  if (metrics) {
    metrics->subtract(SK_METRIC_CONNECTIONS);
  }
  /* Who shakes hands still has no connection yet. */
  if (draining && connections == 0 && us_socket_context_count(context()) == 0) {
    beforeCallback();
    options.on_drained();
  }
}

void App::countRefused(uint32_t reason) {
  if (metrics) {
    metrics->add(reason);
  }
}

bool App::admit(Slot &slot, uWS::HttpRequest *request) {
  if (options.http_version == SK_HTTP_2 && !slot.stream) {
    countRefused(SK_METRIC_REFUSED_VERSION);
    sendResponse(slot, {"505 HTTP Version Not Supported", 0}, "HTTP Version Not Supported", SK_END_CONNECTION);
    return false;
  }
  if (options.max_concurrent_requests && busy > options.max_concurrent_requests) {
    countRefused(SK_METRIC_REFUSED_CONCURRENCY);
    sendResponse(slot, {"503 Service Unavailable\nRetry-After\n1", 1}, "Service Unavailable", 0);
    return false;
  }
  if (secure && us_socket_context_tls_had_names(context())) {
    std::string name = hostNameOf(request);
    int configured = !hosts.empty() && findHost(name) != hosts.end();
    if (us_socket_tls_misdirected(raw(slot.socket), name.data(), name.length(), configured)) {
      countRefused(SK_METRIC_REFUSED_NAME);
      sendResponse(slot, {"421 Misdirected Request", 0}, "Misdirected Request", 0);
      return false;
    }
  }
  if (requests_left && --requests_left == 0) {
    beforeCallback();
    on_last_request();
  }
  return true;
}

void App::onRequest(HttpResponse *response, uWS::HttpRequest *request) {
  Slot &slot = slotAt(us_socket_tag(raw(response)));
  beginRequest(slot, response, request);
  if (watched) [[unlikely]] {
    if (observer) {
      observer->begin(slot, response, request);
    }
    if (metrics) {
      metrics->begin(slot, request->rawMethod(), clock.begun());
    }
  }
  if (compression) {
    compression->begin(slot, *request);
  }
  Parameters parameters;
  Dispatch dispatch{&slot, request, !websockets.empty() && asksForWebSocket(*request), &parameters};
  std::string_view method = request->getCaseSensitiveMethod();
  std::string_view url = request->getUrl();

  dispatching = true;
  bool admitted = admit(slot, request);
  if (watched && observer) [[unlikely]] {
    observer->putHost(slot, *request);
  }
  auto host = hosts.empty() ? hosts.end() : findHost(hostNameOf(request));
  bool routed = !admitted || (host != hosts.end() && host->second.route(dispatch, method, url));
  routed = routed || routes.route(dispatch, method, url) || (method == "HEAD" && routes.route(dispatch, "GET", url));
  if (!routed) {
    bool upgradable = !dispatch.upgrades && method == "GET" &&
                      ((host != hosts.end() && host->second.hasWebSocket(url)) || routes.hasWebSocket(url));
    request->setParameters({-1, nullptr});
    if (request->isExtended()) {
      bool is_served = routes.has("GET", url) || (host != hosts.end() && host->second.has("GET", url));
      std::string_view status = is_served ? "501 Not Implemented" : "404 Not Found";
      sendResponse(slot, {status, 0}, status.substr(status.find(' ') + 1), 0);
    } else if (upgradable) {
      refuseUpgrade(slot, UpgradeRefusal::Required);
    } else {
      on_missing->handle(handleOf(slot));
    }
  }
  dispatching = false;
  applyPendingRoutes();

  bool closed = us_socket_is_closed(0, raw(response));
  if (closed && us_socket_tag(raw(response))) {
    /* It became a websocket, which has the slot now. */
    return;
  }
  slot.request = nullptr;
  if (closed) {
    releaseSlot(indexOf(slot));
  }
}

std::string App::allowedMethods(uWS::HttpRequest *request) {
  auto host = hosts.empty() ? hosts.end() : findHost(hostNameOf(request));
  auto takes = [&](std::string_view method) {
    return routes.has(method, request->getUrl()) || (host != hosts.end() && host->second.has(method, request->getUrl()));
  };
  std::string allowed;
  for (std::string_view method : {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"}) {
    if (takes(method) || (method == "HEAD" && takes("GET"))) {
      allowed.append(allowed.empty() ? "" : ", ").append(method);
    }
  }
  return allowed;
}

/* The name itself, else the nearest wildcard: "*.b.c" for "a.b.c". */
App::Hosts::iterator App::findHost(std::string_view name) {
  if (name.length() > HOST_NAME_MAX_BYTES) {
    return hosts.end();
  }
  auto found = hosts.find(name);
  if (found != hosts.end()) {
    return found;
  }
  /* The star takes the place of what stands before a dot. */
  char wildcard[HOST_NAME_MAX_BYTES + 1];
  size_t end = static_cast<size_t>(put(wildcard + 1, name) - wildcard);
  for (size_t dot = 1; dot < end; dot++) {
    if (wildcard[dot] == '.') {
      wildcard[dot - 1] = '*';
      found = hosts.find(std::string_view(wildcard + dot - 1, end - dot + 1));
      if (found != hosts.end()) {
        break;
      }
    }
  }
  return found;
}

RouteTable &App::tableFor(std::string_view host) {
  if (host.empty()) {
    return routes;
  }
  return hosts[std::string(host)];
}

Handler *App::keep(std::unique_ptr<Handler> handler) {
  handlers.push_back(std::move(handler));
  return handlers.back().get();
}

void App::addRoute(std::string_view host, std::string_view method, std::string_view pattern, Handler *handler) {
  if (dispatching) {
    pending_routes.push_back({std::string(host), std::string(method), std::string(pattern), handler, nullptr});
  } else {
    tableFor(host).add(method, pattern, handler);
  }
}

void App::addWebSocketRoute(std::string_view host, std::string_view pattern, WebSocketRoute *route) {
  if (dispatching) {
    pending_routes.push_back({std::string(host), std::string(), std::string(pattern), nullptr, route});
  } else {
    tableFor(host).addWebSocket(pattern, route);
  }
}

void App::removeHost(std::string_view host) {
  if (dispatching) {
    pending_removals.emplace_back(host);
  } else if (auto found = hosts.find(host); found != hosts.end()) {
    hosts.erase(found);
  }
}

void App::applyPendingRoutes() {
  for (PendingRoute &route : pending_routes) {
    if (route.websocket) {
      tableFor(route.host).addWebSocket(route.pattern, route.websocket);
    } else {
      tableFor(route.host).add(route.method, route.pattern, route.handler);
    }
  }
  pending_routes.clear();
  for (std::string &host : pending_removals) {
    hosts.erase(host);
  }
  pending_removals.clear();
}

std::string_view App::dateField() {
  renderCommonFields();
  return {common, date_length};
}

std::string_view App::commonFields() {
  renderCommonFields();
  return {common, common_length};
}

void App::renderCommonFields() {
  timespec now;
  clock_gettime(COARSE_WALL_CLOCK, &now);
  if (now.tv_sec == rendered_second) {
    return;
  }
  rendered_second = now.tv_sec;
  date_length = 0;
  if (options.date_header) {
    tm parts;
    gmtime_r(&now.tv_sec, &parts);
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    /* Not strftime: the names of RFC 9110 section 5.6.7 do not follow the locale. */
    date_length = static_cast<size_t>(snprintf(common, sizeof(common), "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n",
                                               days[parts.tm_wday], parts.tm_mday, months[parts.tm_mon], parts.tm_year + 1900,
                                               parts.tm_hour, parts.tm_min, parts.tm_sec));
  }
  assert(date_length + server_field.length() <= sizeof(common));
  put(common + date_length, server_field);
  common_length = date_length + server_field.length();
}

} // namespace sk
