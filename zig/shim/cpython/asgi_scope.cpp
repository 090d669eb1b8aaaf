#include "cpython/asgi_scope.h"

#include "http/app.h"
#include "http/slot_table.h"
#include "proxy/client.h"

#include <string>

namespace sk {

namespace {

/* Strings that name things, made once. */
struct ScopeNames {
  Object *path, *raw_path, *query_string, *headers, *client, *server, *method, *http_version, *asgi, *state, *extensions, *scheme,
      *root_path;
  Object *http_1_0, *http_2, *get, *head, *post;
} scope_names;

/* Every request has its own copy of what the template holds, as applications may add to it. */
bool copyInner(const Ref &scope, Object *key) {
  Object *inner = python.dict_get(scope.get(), key);
  return inner && setItem(scope, key, Ref(python.dict_copy(inner)));
}

Ref methodName(std::string_view method) {
  if (method == "GET") {
    return Ref::borrowed(scope_names.get);
  }
  if (method == "POST") {
    return Ref::borrowed(scope_names.post);
  }
  if (method == "HEAD") {
    return Ref::borrowed(scope_names.head);
  }
  return newLatin1(method);
}

Ref headerList(uWS::HttpRequest &request) {
  ptrdiff_t count = 0;
  for ([[maybe_unused]] auto header : request) {
    count++;
  }
  Ref list(python.new_list(count));
  ptrdiff_t index = 0;
  for (auto [name, value] : request) {
    Ref header = list ? newPair(newBytes(name), newBytes(value)) : Ref();
    if (!header) {
      return Ref();
    }
    python.list_set(list.get(), index++, header.release());
  }
  return list;
}

bool putPath(const Ref &scope, AsgiRoute route, const AsgiRequest &from) {
  std::string_view root, raw = from.target.path;
  std::string_view prefix = prefixOf(from.slot);
  if (!prefix.empty()) {
    root = prefix;
    if (!setItem(scope, scope_names.root_path, newLatin1(prefix))) {
      return false;
    }
  } else if (!take(route[SK_ASGI_ROOT_PATH], root)) {
    return false;
  }
  bool encoded = from.flags & SK_SCOPE_ENCODED;
  std::string mounted;
  if (!root.empty() && !isBelow(encoded ? unescaped(raw) : std::string(raw), root)) {
    encoded |= isEncoded(root);
    mounted.append(root).append(raw);
    raw = mounted;
  }
  Ref raw_path = newBytes(raw);
  if (!raw_path) {
    return false;
  }
  Object *arguments[] = {raw_path.get()};
  Ref path = encoded ? call(route[SK_ASGI_DECODE], arguments) : newLatin1(raw);
  return setItem(scope, scope_names.path, path) && setItem(scope, scope_names.raw_path, raw_path);
}

bool putEnds(const Ref &scope, AsgiRoute route, const Slot &slot) {
  std::string room;
  Ref text = newBytes(endsWithPathOf(slot, room));
  Object *known = text ? python.dict_get(route[SK_ASGI_ENDS], text.get()) : nullptr;
  /* Fills what is missing, which a dict's own look-up does not. */
  Ref ends = known ? Ref::borrowed(known) : Ref(text ? python.get_item(route[SK_ASGI_ENDS], text.get()) : nullptr);
  return ends && setItem(scope, scope_names.client, Ref::borrowed(python.tuple_get(ends.get(), 0))) &&
         setItem(scope, scope_names.server, Ref::borrowed(python.tuple_get(ends.get(), 1)));
}

bool putSecurity(const Ref &scope, AsgiRoute route, const Slot &slot, int flags) {
  if ((flags & SK_SCOPE_OTHER_SCHEME) && !setItem(scope, scope_names.scheme, Ref::borrowed(route[SK_ASGI_OTHER_SCHEME]))) {
    return false;
  }
  if (route[SK_ASGI_FACTS] == python.none) {
    return true;
  }
  Ref handle(python.from_unsigned_long(handleOf(slot)));
  Object *arguments[] = {handle.get(), python.dict_get(scope.get(), scope_names.extensions)};
  return handle && call(route[SK_ASGI_FACTS], arguments);
}

} // namespace

std::optional<AsgiRequest> AsgiRequest::find(Object *handle) {
  uint32_t number;
  if (!take(handle, number)) {
    return std::nullopt;
  }
  Slot *slot = findHttpSlot(number);
  uWS::HttpRequest *request = findRequest(number);
  if (!slot || !request) {
    python.set_error(python.runtime_error, SK_REQUEST_IS_GONE);
    return std::nullopt;
  }
  Target target = targetOf(*request);
  return AsgiRequest{*slot, *request, target, scopeFlags(*slot, *request, target.path)};
}

Ref makeAsgiScope(AsgiRoute route, const AsgiRequest &from) {
  Ref scope(python.dict_copy(route[SK_ASGI_TEMPLATE]));
  bool made = scope && copyInner(scope, scope_names.asgi) && copyInner(scope, scope_names.state) &&
              copyInner(scope, scope_names.extensions) && putPath(scope, route, from) &&
              setItem(scope, scope_names.query_string, newBytes(from.target.query)) &&
              setItem(scope, scope_names.headers, headerList(from.request)) && putEnds(scope, route, from.slot) &&
              putSecurity(scope, route, from.slot, from.flags);
  if (made && (from.flags & SK_SCOPE_ANCIENT)) {
    made = setItem(scope, scope_names.http_version, Ref::borrowed(scope_names.http_1_0));
  } else if (made && (from.flags & SK_SCOPE_HTTP_2)) {
    made = setItem(scope, scope_names.http_version, Ref::borrowed(scope_names.http_2));
  }
  /* Only scopes of requests have a method. */
  if (made && python.dict_get(scope.get(), scope_names.method)) {
    made = setItem(scope, scope_names.method, methodName(from.request.rawMethod()));
  }
  return made ? std::move(scope) : Ref();
}

Object *asgiScope(Object *self, Object *const *arguments, ptrdiff_t count) {
  std::optional<AsgiRequest> request = counts(count, 1) ? AsgiRequest::find(arguments[0]) : std::nullopt;
  if (!request) {
    return nullptr;
  }
  return newPair(Ref(python.from_long(request->flags)), makeAsgiScope(AsgiRoute(self), *request)).release();
}

void prepareAsgiScope() {
  scope_names = {
      python.intern("path"),      python.intern("raw_path"),     python.intern("query_string"),
      python.intern("headers"),   python.intern("client"),       python.intern("server"),
      python.intern("method"),    python.intern("http_version"), python.intern("asgi"),
      python.intern("state"),     python.intern("extensions"),   python.intern("scheme"),
      python.intern("root_path"), python.intern("1.0"),          python.intern("2"),
      python.intern("GET"),       python.intern("HEAD"),         python.intern("POST"),
  };
}

} // namespace sk
