/* The environ of WSGI (PEP 3333) as a dict of CPython, by the rules of socketify/wsgi/environ.py. */
#ifndef SK_CPYTHON_WSGI_ENVIRON_H
#define SK_CPYTHON_WSGI_ENVIRON_H

#include "cpython/api.h"
#include "http/app.h"

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace sk {

class Environs {
public:
  /* `base` and `field_key` are kept alive by the caller. */
  explicit Environs(const sk_wsgi_options &options);

  /* False when an exception is set: nothing else may be called then. */
  bool ready() const { return complete; }
  /* The environ of a request, or none with an exception set. */
  Ref build(const Slot &slot, uWS::HttpRequest &request);
  /* Sets wsgi.input, and a length that no field has told; false with an exception set. */
  bool setInput(const Ref &environ, const Ref &input, std::optional<size_t> length);

private:
  /* What a connection's last request said: most clients repeat themselves. */
  struct KnownRequest {
    std::string endpoints;
    std::string origin;
    std::string host;
    std::string prefix;
    std::string target;
    /* As they were sent. */
    std::string fields;
    std::string method;
    bool slash_added = false;
    bool ancient = false;
    bool of_stream = false;
    bool other_scheme = false;
    /* Only once it was asked for a second time. */
    Ref environ;
  };
  struct TextHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  Ref make(const Slot &slot, uWS::HttpRequest &request);
  bool setAll(Object *environ, std::string_view endpoints, uWS::HttpRequest &request, std::string_view prefix);
  bool setLine(Object *environ, uWS::HttpRequest &request, std::string_view prefix);
  bool setId(Object *environ, const Slot &slot);
  bool setEndpoints(Object *environ, std::string_view endpoints);
  bool setField(Object *environ, std::string_view name, std::string_view value);
  Ref keyOf(std::string_view name);
  Ref pathOf(std::string_view path, std::string_view prefix);
  Ref methodOf(std::string_view method);

  Object *base;
  Object *field_key;
  Object *add_facts;
  std::string root_path;
  bool has_root_path;
  bool complete;
  Ref request_method, query_string, request_uri, path_info, server_protocol;
  Ref endpoint_keys[4], local_host, default_port;
  Ref get, ancient_version, stream_version, version, empty, comma, semicolon, url_scheme, input_key, length_key, other, script_name;
  std::unordered_map<std::string, Ref, TextHash, std::equal_to<>> keys;
  std::vector<KnownRequest> known;
};

} // namespace sk
#endif
