/* Stands in for the engine's header of this name: what all connections have in common, and how their bytes leave.
 *
 * Bytes go to the cork buffer of the loop while it is held for the connection, else to the kernel, and what that does not take
 * waits with the connection. Lengths are size_t throughout. */
#ifndef UWS_ASYNCSOCKET_H
#define UWS_ASYNCSOCKET_H

#include "usockets_ext.h"

#include "AsyncSocketData.h"
#include "LoopData.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream> // the engine expects it from here
#include <string_view>
#include <utility>

namespace uWS {

enum SendBufferAttribute { NEEDS_NOTHING, NEEDS_DRAIN, NEEDS_UNCORK };

template <bool SSL> struct AsyncSocket {
  us_socket_t *self() { return reinterpret_cast<us_socket_t *>(this); }

  void *getNativeHandle() { return us_socket_get_native_handle(SSL, self()); }

  LoopData *getLoopData() {
    return static_cast<LoopData *>(us_loop_ext(us_socket_context_loop(SSL, us_socket_context(SSL, self()))));
  }

  AsyncSocketData<SSL> *getAsyncSocketData() { return static_cast<AsyncSocketData<SSL> *>(us_socket_ext(SSL, self())); }

  void timeout(unsigned int seconds) { us_socket_timeout(SSL, self(), seconds); }

  /* What waits here is not sent any more. */
  void shutdown() { us_socket_shutdown(SSL, self()); }

  us_socket_t *close() { return us_socket_close(SSL, self(), 0, nullptr); }

  us_socket_t *pause() {
    us_socket_pause(self());
    return self();
  }

  us_socket_t *resume() {
    us_socket_resume(self());
    return self();
  }

  std::string_view getRemoteAddress() {
    static thread_local char address[16];
    int length = sizeof(address);
    us_socket_remote_address(SSL, self(), address, &length);
    return {address, static_cast<size_t>(length)};
  }

  std::string_view getRemoteAddressAsText() { return addressAsText(getRemoteAddress()); }

  /* Of 4 or 16 bytes; valid until the next call. */
  std::string_view addressAsText(std::string_view binary) {
    static thread_local char text[40];
    size_t length = 0;
    bool is_old = binary.length() == 4;
    for (size_t i = 0; i < binary.length(); i++) {
      const char *format = is_old ? (i ? ".%u" : "%u") : (i && i % 2 == 0 ? ":%02x" : "%02x");
      length += static_cast<size_t>(snprintf(text + length, sizeof(text) - length, format, static_cast<unsigned char>(binary[i])));
    }
    return {text, length};
  }

  /* ---- the cork: only one connection of a loop holds it at a time ---- */

  void *corkedSocket() { return getLoopData()->corkedSocket; }

  bool isCorked() { return getLoopData()->corkedSocket == this; }

  bool canCork() { return !getLoopData()->corkedSocket; }

  void corkUnchecked() { getLoopData()->corkedSocket = this; }

  void cork() {
    LoopData *loop = getLoopData();
    if (loop->corkOffset && loop->corkedSocket != this) {
      /* What is packed there would go to the wrong peer. */
      abort();
    }
    loop->corkedSocket = this;
  }

  void uncorkWithoutSending() {
    if (isCorked()) {
      getLoopData()->corkedSocket = nullptr;
    }
  }

  /* ---- sending ---- */

  /* What waits because the kernel did not take it. */
  size_t getBufferedAmount() { return getAsyncSocketData()->buffer.length(); }

  /* Sends what is owed, as far as the kernel takes it; whether that is all. `more`: further bytes follow at once. */
  bool flush(bool more = false) {
    BackPressure &owed = getAsyncSocketData()->buffer;
    while (owed.length()) {
      std::string_view piece = owed.front();
      size_t sent = us_socket_send(self(), piece.data(), piece.length(), more || !owed.isLast());
      owed.drop(sent);
      if (sent < piece.length()) {
        return false;
      }
    }
    return true;
  }

  /* What the kernel did not take waits. */
  void keep(const char *data, size_t length) {
    if (!getAsyncSocketData()->buffer.append(data, length)) {
      /* A stream with a gap must not go on. */
      us_socket_cut(self());
    }
  }

  /* How many bytes were taken, and whether some wait now. Those that would wait are not taken when `optionally`. */
  std::pair<size_t, bool> write(const char *src, size_t length, bool optionally = false, size_t nextLength = 0) {
    /* So that a closed connection can be uncorked. */
    if (us_socket_is_closed(SSL, self())) {
      return {length, false};
    }
    if (getAsyncSocketData()->buffer.length() && !flush(length)) {
      if (optionally) {
        return {0, true};
      }
      keep(src, length);
      return {length, true};
    }
    if (!length) {
      return {0, false};
    }
    LoopData *loop = getLoopData();
    if (loop->corkedSocket == this) {
      if (LoopData::CORK_BUFFER_SIZE - loop->corkOffset < length) {
        return uncork(src, length, optionally);
      }
      memcpy(loop->corkBuffer + loop->corkOffset, src, length);
      loop->corkOffset += static_cast<unsigned int>(length);
      return {length, false};
    }
    size_t sent = us_socket_send(self(), src, length, nextLength != 0);
    if (sent == length) {
      return {length, false};
    }
    if (optionally) {
      return {sent, true};
    }
    keep(src + sent, length - sent);
    return {length, true};
  }

  /* Lets the cork go and sends what was packed, with further bytes behind it; the result is about those, as of write. */
  std::pair<size_t, bool> uncork(const char *src = nullptr, size_t length = 0, bool optionally = false) {
    LoopData *loop = getLoopData();
    if (loop->corkedSocket != this) {
      return {0, false};
    }
    loop->corkedSocket = nullptr;
    size_t packed = std::exchange(loop->corkOffset, 0);
    if (!packed) {
      return write(src, length, optionally);
    }
    if (!length || getAsyncSocketData()->buffer.length() || us_socket_is_closed(SSL, self())) {
      auto [written, failed] = write(loop->corkBuffer, packed, false, length);
      if (failed && (optionally || !length)) {
        return {0, true};
      }
      auto [taken, waits] = write(src, length, optionally);
      return {taken, failed || waits};
    }
    size_t sent = us_socket_send2(self(), loop->corkBuffer, packed, src, length);
    if (sent == packed + length) {
      return {length, false};
    }
    size_t taken = 0;
    if (sent < packed) {
      keep(loop->corkBuffer + sent, packed - sent);
    } else {
      taken = sent - packed;
    }
    if (optionally) {
      return {taken, true};
    }
    keep(src + taken, length - taken);
    return {length, true};
  }

  /* Room for bytes that the caller composes, and what has to be done when he has. */
  std::pair<char *, SendBufferAttribute> getSendBuffer(size_t size) {
    LoopData *loop = getLoopData();
    BackPressure &owed = getAsyncSocketData()->buffer;
    bool corked = isCorked();
    if (!owed.length() && (corked || canCork()) && loop->corkOffset + size < LoopData::CORK_BUFFER_SIZE) {
      corkUnchecked();
      char *room = loop->corkBuffer + loop->corkOffset;
      loop->corkOffset += static_cast<unsigned int>(size);
      return {room, corked ? NEEDS_NOTHING : NEEDS_UNCORK};
    }
    if (corked && loop->corkOffset) {
      keep(loop->corkBuffer, std::exchange(loop->corkOffset, 0));
    }
    return {owed.extend(size), NEEDS_DRAIN};
  }
};

} // namespace uWS
#endif
