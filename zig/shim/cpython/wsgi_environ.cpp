#include "cpython/wsgi_environ.h"

#include "http/scope.h"
#include "proxy/client.h"

namespace sk {

namespace {

/* Names of fields whose keys are kept. */
constexpr size_t KEYS_MAX = 1024;
/* Connections whose last request is kept, by slot; a power of two. Together at most some MB. */
constexpr size_t KNOWN_MAX = 1024;
constexpr size_t KNOWN_BYTES_MAX = 2048;

bool set(Object *environ, const Ref &key, const Ref &value) {
  return key && value && python.dict_set(environ, key.get(), value.get()) == 0;
}

Ref interned(const char *text) { return Ref(python.intern(text)); }

} // namespace

Environs::Environs(const sk_wsgi_options &options)
    : base(options.base), field_key(options.field_key), add_facts(options.add_facts),
      root_path(options.root_path ? std::string(options.root_path, options.root_path_length) : std::string()),
      has_root_path(options.root_path_length != 0), request_method(interned("REQUEST_METHOD")),
      query_string(interned("QUERY_STRING")), request_uri(interned("REQUEST_URI")), path_info(interned("PATH_INFO")),
      server_protocol(interned("SERVER_PROTOCOL")),
      endpoint_keys{interned("REMOTE_ADDR"), interned("REMOTE_PORT"), interned("SERVER_NAME"), interned("SERVER_PORT")},
      local_host(interned("localhost")), default_port(interned(options.secure ? "443" : "80")), get(interned("GET")),
      ancient_version(interned("HTTP/1.0")), stream_version(interned("HTTP/2")), version(interned("HTTP/1.1")), empty(interned("")),
      comma(interned(",")), semicolon(interned("; ")), url_scheme(interned("wsgi.url_scheme")), input_key(interned("wsgi.input")),
      length_key(interned("CONTENT_LENGTH")), other(interned(options.secure ? "http" : "https")),
      script_name(interned("SCRIPT_NAME")), known(KNOWN_MAX) {
  complete = !python.error_occurred();
}

Ref Environs::build(const Slot &slot, uWS::HttpRequest &request) {
  uint32_t handle = handleOf(slot);
  Ref environ = make(slot, request);
  if (!environ || !add_facts) {
    return environ;
  }
  Ref number(python.from_unsigned_long(handle));
  return number && callWith(add_facts, number.get(), environ.get()) ? std::move(environ) : Ref();
}

Ref Environs::make(const Slot &slot, uWS::HttpRequest &request) {
  std::string_view endpoints = endsOf(slot);
  bool other_scheme = isSecure(slot) != slot.app->secure;
  std::string_view fields = request.fieldLines();
  std::string_view origin = request.origin();
  std::string_view target = request.getFullUrl();
  KnownRequest &last = known[indexOf(slot) % KNOWN_MAX];
  const Forwarded *forwarded = forwardedOf(slot);
  std::string_view prefix = prefixOf(slot);
  /* The origin, or a proxy, takes the place of what Host says. */
  std::string_view host = forwarded ? request.host() : std::string_view();
  bool same = last.fields == fields && last.origin == origin && last.endpoints == endpoints && last.host == host &&
              last.prefix == prefix && last.ancient == request.isAncient() && last.of_stream == request.isOfStream() &&
              last.other_scheme == other_scheme;
  if (same && last.environ) {
    Ref environ(python.dict_copy(last.environ.get()));
    bool same_line = last.target == target && last.slash_added == request.isSlashAdded() && last.method == request.rawMethod();
    bool made = environ && (same_line || setLine(environ.get(), request, prefix)) && setId(environ.get(), slot);
    return made ? std::move(environ) : Ref();
  }
  /* They are the connection's, which is freed when a finalizer that runs meanwhile closes it. */
  std::string kept(endpoints);
  endpoints = kept;
  Ref environ(python.dict_copy(base));
  if (!environ || !setAll(environ.get(), endpoints, request, prefix) || (other_scheme && !set(environ.get(), url_scheme, other))) {
    return Ref();
  }
  bool small = fields.length() + origin.length() + target.length() + request.rawMethod().length() <= KNOWN_BYTES_MAX;
  last.environ = same && small ? Ref(python.dict_copy(environ.get())) : Ref();
  if (python.error_occurred()) {
    /* It goes without. */
    python.error_clear();
  }
  last.endpoints = small ? endpoints : std::string_view();
  last.fields = small ? fields : std::string_view();
  last.origin = small ? origin : std::string_view();
  last.host = small ? host : std::string_view();
  last.prefix = small ? prefix : std::string_view();
  last.slash_added = request.isSlashAdded();
  last.target = small ? target : std::string_view();
  last.method = small ? request.rawMethod() : std::string_view();
  last.ancient = request.isAncient();
  last.of_stream = request.isOfStream();
  last.other_scheme = other_scheme;
  return environ;
}

bool Environs::setInput(const Ref &environ, const Ref &input, std::optional<size_t> length) {
  return set(environ.get(), input_key, input) && (!length || set(environ.get(), length_key, newLatin1(std::to_string(*length))));
}

bool Environs::setAll(Object *environ, std::string_view endpoints, uWS::HttpRequest &request, std::string_view prefix) {
  if (!setEndpoints(environ, endpoints) || !setLine(environ, request, prefix) ||
      (!prefix.empty() && !set(environ, script_name, newLatin1(prefix))) ||
      (request.isAncient() && !set(environ, server_protocol, ancient_version)) ||
      (request.isOfStream() && !set(environ, server_protocol, stream_version))) {
    return false;
  }
  for (auto [name, value] : request) {
    if (!setField(environ, name, value)) {
      return false;
    }
  }
  return true;
}

/* The only field that the server may have added: each request has another one. */
bool Environs::setId(Object *environ, const Slot &slot) {
  const Observer *observer = slot.app->observer.get();
  if (!observer || observer->id_field.empty()) {
    return true;
  }
  Ref key = keyOf(observer->id_field);
  return key && (key.get() == python.none || set(environ, key, newLatin1(observer->requestId(slot))));
}

/* Everything that the request line decides about: what was in the dict may be that of another request. */
bool Environs::setLine(Object *environ, uWS::HttpRequest &request, std::string_view prefix) {
  std::string_view target = request.getFullUrl();
  auto [path, query] = targetOf(request);
  bool as_sent = request.origin().empty();
  Ref line = as_sent ? newLatin1(target) : newLatin1(sentTargetOf(request));
  bool plain =
      as_sent && path.length() == target.length() && !has_root_path && prefix.empty() && path[0] == '/' && !isEncoded(path);
  Ref decoded = plain && line ? Ref::borrowed(line.get()) : pathOf(path, prefix);
  return set(environ, path_info, decoded) && set(environ, request_uri, line) &&
         set(environ, query_string, query.empty() ? Ref::borrowed(empty.get()) : newLatin1(query)) &&
         set(environ, request_method, methodOf(request.rawMethod()));
}

Ref Environs::methodOf(std::string_view method) { return method == "GET" ? Ref::borrowed(get.get()) : newLatin1(method); }

Ref Environs::pathOf(std::string_view path, std::string_view prefix) {
  std::string decoded = isEncoded(path) ? unescaped(path) : std::string(path);
  std::string_view below = decoded;
  /* A proxy in front may have taken the mount point off. */
  std::string_view root = prefix.empty() ? std::string_view(root_path) : prefix;
  if (!root.empty() && isBelow(below, root)) {
    return newLatin1(below.substr(root.length()));
  }
  /* OPTIONS * is about the server and not about any resource. */
  return below.starts_with('/') ? newLatin1(below) : Ref::borrowed(empty.get());
}

bool Environs::setEndpoints(Object *environ, std::string_view endpoints) {
  /* Unix-domain sockets have no addresses; what a proxy says of its client may be all there is. */
  Object *missing[] = {empty.get(), empty.get(), local_host.get(), default_port.get()};
  for (size_t i = 0; i < 4; i++) {
    size_t end = endpoints.find(' ');
    bool absent = endpoints.empty();
    if (!set(environ, endpoint_keys[i], absent ? Ref::borrowed(missing[i]) : newLatin1(endpoints.substr(0, end)))) {
      return false;
    }
    endpoints = end == std::string_view::npos ? std::string_view() : endpoints.substr(end + 1);
  }
  return true;
}

bool Environs::setField(Object *environ, std::string_view name, std::string_view value) {
  Ref key = keyOf(name);
  if (!key) {
    return false;
  }
  if (key.get() == python.none) {
    return true;
  }
  Ref text = newLatin1(value);
  Object *before = python.dict_get(environ, key.get());
  if (before && text) {
    /* RFC 9110 section 5.3; RFC 6265 section 5.4 for cookies. */
    bool cookie = name == "cookie";
    Ref joined(python.concat(before, cookie ? semicolon.get() : comma.get()));
    text = joined ? Ref(python.concat(joined.get(), text.get())) : Ref();
  } else if (!before && python.error_occurred()) {
    return false;
  }
  return set(environ, key, text);
}

Ref Environs::keyOf(std::string_view name) {
  auto found = keys.find(name);
  if (found != keys.end()) {
    return Ref::borrowed(found->second.get());
  }
  Ref text = newLatin1(name);
  Ref key = text ? callWith(field_key, text.get()) : Ref();
  if (key && keys.size() < KEYS_MAX) {
    keys.emplace(std::string(name), Ref::borrowed(key.get()));
  }
  return key;
}

} // namespace sk
