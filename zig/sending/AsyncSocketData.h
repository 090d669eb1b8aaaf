/* Stands in for the engine's header of this name: what a connection owes its peer, in pieces that are copies, or that refer to
 * the bytes of somebody who keeps them. */
#ifndef UWS_ASYNCSOCKETDATA_H
#define UWS_ASYNCSOCKETDATA_H

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <string_view>
#include <utility>

namespace uWS {

/* Somebody's bytes, which neither move nor change while he is referred to. */
struct Loan {
  const void *owner = nullptr;
  const char *data = nullptr;
  size_t length = 0;

  bool covers(const char *begin, size_t size) const {
    std::less_equal<> notAfter;
    return owner && notAfter(data, begin) && notAfter(begin + size, data + length);
  }
};

/* What the call under way shall send: instead of copying what has to wait of it, its owner is referred to. */
inline thread_local Loan loan;

/* How owners are referred to, on the thread of their connection's loop. */
struct Owners {
  void (*retain)(const void *owner) = nullptr;
  void (*release)(const void *owner) = nullptr;
};
inline Owners owners;

struct BackPressure {
  /* Smaller ones are copied: a piece costs more than that. */
  static constexpr size_t HELD_MIN = 16 * 1024;

  BackPressure() = default;
  BackPressure(BackPressure &&other) noexcept
      : first(std::exchange(other.first, nullptr)), last(std::exchange(other.last, nullptr)), total(std::exchange(other.total, 0)) {
  }
  ~BackPressure() { clear(); }

  size_t length() const { return total; }

  /* False when there is no memory: then something is missing, and the connection cannot go on. */
  [[nodiscard]] bool append(const char *data, size_t length) {
    if (length >= HELD_MIN && loan.covers(data, length)) {
      return hold(data, length);
    }
    while (length) {
      if (!(last && last->room()) && !add(std::clamp(length, COPY_MIN, COPY_MAX))) {
        return false;
      }
      size_t size = std::min(length, last->room());
      memcpy(last->end(), data, size);
      grow(last, size);
      data += size;
      length -= size;
    }
    return true;
  }

  /* Room for so many bytes, one behind the other, which the caller fills. */
  char *extend(size_t length) {
    Piece *piece = last && last->room() >= length ? last : add(std::max(length, COPY_MIN));
    while (!piece) {
      /* Only what the engine composes itself gets here, which is small: what operator new would have is asked for. */
      std::new_handler handler = std::get_new_handler();
      if (!handler) {
        abort();
      }
      handler();
      piece = add(std::max(length, COPY_MIN));
    }
    char *begin = piece->end();
    grow(piece, length);
    return begin;
  }

  /* What leaves next; only while something is owed. */
  std::string_view front() const { return {first->data, first->length}; }
  bool isLast() const { return first == last; }

  /* Has left: not more than front() is long. */
  void drop(size_t length) {
    total -= length;
    first->data += length;
    first->length -= length;
    if (!first->length) {
      dropFirst();
    }
  }

  void clear() {
    while (first) {
      dropFirst();
    }
    total = 0;
  }

private:
  static constexpr size_t COPY_MIN = 4000;
  static constexpr size_t COPY_MAX = 256 * 1024;

  struct Piece {
    Piece *next;
    /* Who keeps the bytes; null for a copy, which lies behind this struct. */
    const void *owner;
    const char *data;
    size_t length;
    const char *limit;

    size_t room() const { return owner ? 0 : static_cast<size_t>(limit - (data + length)); }
    char *end() { return const_cast<char *>(data) + length; }
  };

  Piece *first = nullptr;
  Piece *last = nullptr;
  size_t total = 0;

  Piece *add(size_t room) {
    auto *piece = static_cast<Piece *>(malloc(sizeof(Piece) + room));
    if (piece) {
      const char *begin = reinterpret_cast<char *>(piece + 1);
      *piece = {nullptr, nullptr, begin, 0, begin + room};
      (last ? last->next : first) = piece;
      last = piece;
    }
    return piece;
  }

  bool hold(const char *data, size_t length) {
    Piece *piece = add(0);
    if (piece) {
      owners.retain(loan.owner);
      piece->owner = loan.owner;
      piece->data = data;
      grow(piece, length);
    }
    return piece;
  }

  void grow(Piece *piece, size_t length) {
    piece->length += length;
    total += length;
  }

  void dropFirst() {
    Piece *sent = first;
    first = sent->next;
    if (!first) {
      last = nullptr;
    }
    if (sent->owner) {
      owners.release(sent->owner);
    }
    free(sent);
  }
};

template <bool SSL> struct AsyncSocketData {
  BackPressure buffer;

  AsyncSocketData() = default;
  AsyncSocketData(BackPressure &&owed) : buffer(std::move(owed)) {}
};

} // namespace uWS
#endif
