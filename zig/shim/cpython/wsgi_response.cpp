#include "cpython/wsgi_response.h"

#include "http/lending.h"

namespace sk {

namespace {

bool isOnItsWay(int32_t result) { return result == SK_OK || result == SK_BUFFERED; }

} // namespace

bool WsgiResponse::isBodiless() const { return is_head_request || !head || head->facts.status == 204 || head->facts.status == 304; }

bool WsgiResponse::lacksLength() const {
  return head && !started && !head->facts.has_length && head->facts.status != 204 && head->facts.status != 304;
}

int32_t WsgiResponse::state() const {
  return (started ? SK_WSGI_STARTED : 0) | (over ? SK_WSGI_OVER : 0) | (left ? SK_WSGI_LEFT : 0);
}

bool WsgiResponse::send(Object *owner, std::string_view body) {
  if (!head || started || over) {
    return false;
  }
  /* What does not fit its Content-Length is refused: then it goes the longer way. */
  Lent lent(owner, body);
  if (sk_res_send(handle, head->block.data(), static_cast<int32_t>(head->block.length()), head->fields, body.data(), body.length(),
                  SK_KEEP_LENGTH) < 0) {
    return false;
  }
  started = over = true;
  return true;
}

int32_t WsgiResponse::put(Object *owner, std::string_view block) {
  if (!head || over || left) {
    return SK_BUSY;
  }
  std::optional<uint64_t> room = owed;
  if (!started && head->facts.has_length) {
    room = head->facts.length;
  }
  if (room && block.length() > *room) {
    return SK_BUSY;
  }
  std::string_view first = started ? std::string_view() : std::string_view(head->block);
  Lent lent(owner, block);
  int32_t result = sk_res_stream(handle, first.data(), static_cast<int32_t>(first.length()), started ? 0 : head->fields,
                                 block.data(), block.length());
  if (result == SK_BUFFERED) {
    /* Of a connection that is corked nothing was sent yet. */
    result = sk_res_flush(handle);
  }
  if (!isOnItsWay(result) && result != SK_GONE) {
    return result;
  }
  started = true;
  left = result == SK_GONE;
  if (room) {
    owed = *room - block.length();
  }
  return result;
}

bool WsgiResponse::finish() {
  if (!started) {
    bool promised = head && head->facts.has_length && head->facts.length && !isBodiless();
    return !promised && send(nullptr, {});
  }
  if (owed.value_or(0) && !isBodiless()) {
    return false;
  }
  over = true;
  sk_res_send(handle, nullptr, 0, 0, nullptr, 0, 0);
  return true;
}

} // namespace sk
