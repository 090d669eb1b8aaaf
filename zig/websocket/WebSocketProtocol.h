/* Stands in for the engine's header of this name: the frames of RFC 6455, read strictly.
 *
 * Every violation is known when its first byte arrives, and reported with words from which the shim makes the close code:
 * an unmasked frame, reserved bits, opcodes and lengths, fragments out of order, text that is not UTF-8. */
#ifndef UWS_WEBSOCKETPROTOCOL_H
#define UWS_WEBSOCKETPROTOCOL_H

#include "Utf8.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace uWS {

/* The engine's reasons to fail a connection, and those of the parser below (RFC 6455 section 7.4.1: 1002). */
inline constexpr std::string_view ERR_TOO_BIG_MESSAGE("the message is too big");
inline constexpr std::string_view ERR_TOO_BIG_MESSAGE_INFLATION("the compressed message is too big or damaged");
inline constexpr std::string_view ERR_INVALID_TEXT("the text is not UTF-8");
inline constexpr std::string_view ERR_WEBSOCKET_TIMEOUT("the connection was silent for too long");
inline constexpr std::string_view ERR_NOT_MASKED("a frame is not masked");
inline constexpr std::string_view ERR_RESERVED_BITS("reserved bits are set");
inline constexpr std::string_view ERR_OPCODE("the opcode is unknown");
inline constexpr std::string_view ERR_CONTROL_FRAME("a control frame is fragmented or too long");
inline constexpr std::string_view ERR_FRAGMENTS("fragments are out of order");
inline constexpr std::string_view ERR_LENGTH("the length is not in its shortest form");
inline constexpr std::string_view ERR_CLOSE_PAYLOAD("the close frame is malformed");

enum OpCode : unsigned char { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

/* What is known between two reads. */
template <bool isServer> struct WebSocketState {
  static_assert(isServer, "only servers use this parser");

  static constexpr size_t HEADER_MAX = 14;

  /* Payload bytes of the current frame that are missing. */
  uint64_t remaining = 0;
  unsigned char mask[4];
  /* The beginning of a frame whose header is not complete, or has no payload behind it yet. */
  unsigned char held[HEADER_MAX];
  uint8_t heldLength = 0;
  uint8_t frameOpCode = 0;
  uint8_t messageOpCode = 0;
  bool frameFin = false;
  bool inMessage = false;
  bool compressed = false;
  /* The engine knows that the message that begins with a held header is compressed. */
  bool marked = false;
  Utf8Validator text;
};

namespace protocol {

constexpr uint16_t CODE_PROTOCOL_ERROR = 1002;
constexpr uint16_t CODE_NO_STATUS = 1005;
constexpr uint16_t CODE_ABNORMAL = 1006;
constexpr uint16_t CODE_INVALID_DATA = 1007;

inline uint64_t readNetworkOrder(const unsigned char *bytes, size_t count) {
  uint64_t value = 0;
  for (size_t i = 0; i < count; i++) {
    value = value << 8 | bytes[i];
  }
  return value;
}

inline void writeNetworkOrder(char *bytes, uint64_t value, size_t count) {
  for (size_t i = count; i; i--) {
    bytes[i - 1] = static_cast<char>(value & 0xff);
    value >>= 8;
  }
}

inline bool isValidUtf8(const unsigned char *bytes, size_t length) {
  Utf8Validator validator;
  return validator.feed(bytes, length) && validator.complete();
}

/* Codes that may stand in a close frame (RFC 6455 section 7.4, and the registry's additions up to 1014). */
inline bool isSendableCode(unsigned int code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

struct CloseFrame {
  uint16_t code;
  char *message;
  size_t length;
};

inline CloseFrame closeFailure(uint16_t code, std::string_view reason) {
  return {code, const_cast<char *>(reason.data()), reason.length()};
}

/* What the close handler gets, and what is sent back: the peer's own words, or what is wrong with them. */
inline CloseFrame parseClosePayload(char *payload, size_t length) {
  if (!length) {
    return {CODE_NO_STATUS, nullptr, 0};
  }
  auto *bytes = reinterpret_cast<unsigned char *>(payload);
  unsigned int code = length < 2 ? 0 : static_cast<unsigned int>(readNetworkOrder(bytes, 2));
  if (!isSendableCode(code)) {
    return closeFailure(CODE_PROTOCOL_ERROR, ERR_CLOSE_PAYLOAD);
  }
  if (!isValidUtf8(bytes + 2, length - 2)) {
    return closeFailure(CODE_INVALID_DATA, ERR_INVALID_TEXT);
  }
  return {static_cast<uint16_t>(code), payload + 2, length - 2};
}

/* Bytes written: none for the codes that stand for the absence of one. */
inline size_t formatClosePayload(char *out, uint16_t code, const char *message, size_t length) {
  if (!code || code == CODE_NO_STATUS || code == CODE_ABNORMAL) {
    return 0;
  }
  writeNetworkOrder(out, code, 2);
  if (length) {
    memcpy(out + 2, message, length);
  }
  return 2 + length;
}

inline size_t messageFrameSize(size_t length) { return length + (length < 126 ? 2 : length <= UINT16_MAX ? 4 : 10); }

/* A frame whose header announces `reportedLength` bytes; `length` of them are copied behind it. */
template <bool isServer>
inline size_t formatMessage(char *out, const char *payload, size_t length, OpCode opCode, size_t reportedLength, bool compressed,
                            bool fin) {
  static_assert(isServer, "servers do not mask");
  constexpr unsigned int FIN = 128, RSV1 = 64;
  /* RFC 7692 section 6: only the first frame of a message says that it is compressed. */
  unsigned int first = (fin ? FIN : 0) | (compressed && opCode ? RSV1 : 0) | opCode;
  out[0] = static_cast<char>(first);
  size_t header = messageFrameSize(reportedLength) - reportedLength;
  if (header == 2) {
    out[1] = static_cast<char>(reportedLength);
  } else {
    out[1] = header == 4 ? 126 : 127;
    writeNetworkOrder(out + 2, reportedLength, header - 2);
  }
  if (length) {
    memcpy(out + header, payload, length);
  }
  return header + length;
}

} // namespace protocol

/* Makes room in what a connection's messages are assembled in, so that the engine's appending cannot fail; false without memory. */
inline bool (*roomForFragments)(void *user, size_t more) = nullptr;

/* The parser. Impl is the engine's WebSocketContext: it assembles messages and calls the handlers. */
template <bool isServer, typename Impl> struct WebSocketProtocol {
  using State = WebSocketState<isServer>;

  /* `src` has room for a held header before it, which the socket layer's padding guarantees. */
  static void consume(char *src, unsigned int length, State *state, void *user) {
    auto *bytes = reinterpret_cast<unsigned char *>(src);
    size_t left = length;
    if (state->heldLength) {
      bytes -= state->heldLength;
      left += state->heldLength;
      memcpy(bytes, state->held, state->heldLength);
      state->heldLength = 0;
    }
    while (left) {
      size_t used = state->remaining ? consumePayload(bytes, left, state, user) : consumeFrame(bytes, left, state, user);
      if (!used) {
        return;
      }
      bytes += used;
      left -= used;
    }
  }

private:
  static constexpr unsigned int FIN = 128, RSV1 = 64, RSV23 = 48, OPCODE = 15, MASKED = 128, LENGTH = 127;
  static constexpr unsigned int CONTROL = 8, CONTROL_MAX = 125;
  /* What a client announces is only a hint for reserving memory: it gets no more than this for words alone. */
  static constexpr uint64_t ANNOUNCED_MAX = 65536;

  /* Returns 0 when the connection failed or the engine wants no more of it. */
  static size_t fail(State *state, void *user, std::string_view reason) {
    Impl::forceClose(state, user, reason);
    return 0;
  }

  static bool isControl(const State *state) { return state->frameOpCode >= CONTROL; }

  /* What is wrong with the first two bytes, or an empty text. */
  static std::string_view objection(const unsigned char *frame, const State *state) {
    unsigned int opCode = frame[0] & OPCODE;
    bool fin = frame[0] & FIN;
    if ((frame[0] & RSV23) || ((frame[0] & RSV1) && (opCode != TEXT && opCode != BINARY))) {
      return ERR_RESERVED_BITS;
    }
    if ((opCode > BINARY && opCode < CLOSE) || opCode > PONG) {
      return ERR_OPCODE;
    }
    if (!(frame[1] & MASKED)) {
      return ERR_NOT_MASKED;
    }
    if (opCode >= CONTROL) {
      return fin && (frame[1] & LENGTH) <= CONTROL_MAX ? std::string_view() : ERR_CONTROL_FRAME;
    }
    return (opCode == CONTINUATION) == state->inMessage ? std::string_view() : ERR_FRAGMENTS;
  }

  static size_t hold(const unsigned char *bytes, size_t length, State *state) {
    memcpy(state->held, bytes, length);
    state->heldLength = static_cast<uint8_t>(length);
    return 0;
  }

  static void beginFrame(const unsigned char *frame, State *state) {
    state->frameOpCode = frame[0] & OPCODE;
    state->frameFin = frame[0] & FIN;
    if (isControl(state)) {
      return;
    }
    if (state->frameOpCode != CONTINUATION) {
      state->messageOpCode = state->frameOpCode;
      state->compressed = frame[0] & RSV1;
      state->text = {};
    }
    state->inMessage = !state->frameFin;
  }

  static size_t consumeFrame(unsigned char *bytes, size_t left, State *state, void *user) {
    if (left < 2) {
      return hold(bytes, left, state);
    }
    if (std::string_view wrong = objection(bytes, state); !wrong.empty()) {
      return fail(state, user, wrong);
    }
    if ((bytes[0] & RSV1) && !state->marked && !Impl::setCompressed(state, user)) {
      return fail(state, user, ERR_RESERVED_BITS);
    }
    state->marked = bytes[0] & RSV1;
    unsigned int first = bytes[1] & LENGTH;
    size_t extended = first < 126 ? 0 : first == 126 ? 2 : 8;
    size_t header = 2 + extended + 4;
    if (left < header) {
      return hold(bytes, left, state);
    }
    uint64_t payload = extended ? protocol::readNetworkOrder(bytes + 2, extended) : first;
    if ((extended == 2 && payload < 126) || (extended == 8 && (payload <= UINT16_MAX || payload >> 63))) {
      return fail(state, user, ERR_LENGTH);
    }
    bool control = (bytes[0] & OPCODE) >= CONTROL;
    if (!control && Impl::refusePayloadLength(payload, state, user)) {
      return fail(state, user, ERR_TOO_BIG_MESSAGE);
    }
    if (payload && left == header) {
      return hold(bytes, left, state);
    }
    state->marked = false;
    beginFrame(bytes, state);
    memcpy(state->mask, bytes + header - 4, 4);
    if (payload <= left - header) {
      return consumeWhole(bytes, header, static_cast<size_t>(payload), state, user) ? header + payload : 0;
    }
    state->remaining = payload;
    size_t used = consumePayload(bytes + header, left - header, state, user);
    return used ? header + used : 0;
  }

  /* The payload moves over its header: the engine's inflater writes four bytes behind it, where the next frame begins. */
  static bool consumeWhole(unsigned char *frame, size_t header, size_t length, State *state, void *user) {
    unmask(frame, frame + header, length, state->mask);
    return deliver(frame, length, 0, state, user);
  }

  static size_t consumePayload(unsigned char *bytes, size_t left, State *state, void *user) {
    size_t length = static_cast<size_t>(std::min<uint64_t>(state->remaining, left));
    unmask(bytes, bytes, length, state->mask);
    unsigned char mask[4];
    for (size_t i = 0; i < 4; i++) {
      mask[i] = state->mask[(length + i) % 4];
    }
    memcpy(state->mask, mask, 4);
    state->remaining -= length;
    return deliver(bytes, length, std::min(state->remaining, ANNOUNCED_MAX), state, user) ? length : 0;
  }

  /* False when the connection is over. */
  static bool deliver(unsigned char *bytes, size_t length, uint64_t remaining, State *state, void *user) {
    bool control = isControl(state);
    bool last = !remaining && state->frameFin;
    /* A message in one piece is checked by the engine alone. */
    bool pieces = !last || state->frameOpCode == CONTINUATION;
    if (!control && state->messageOpCode == TEXT && !state->compressed && pieces && !state->text.feed(bytes, length)) {
      fail(state, user, ERR_INVALID_TEXT);
      return false;
    }
    if (!control && pieces && roomForFragments && !roomForFragments(user, length + static_cast<size_t>(remaining))) {
      fail(state, user, ERR_TOO_BIG_MESSAGE);
      return false;
    }
    int opCode = control ? state->frameOpCode : state->messageOpCode;
    return !Impl::handleFragment(reinterpret_cast<char *>(bytes), length, static_cast<unsigned int>(remaining), opCode,
                                 state->frameFin, state, user);
  }

  /* `to` is `from`, or lies before it. */
  static void unmask(unsigned char *to, const unsigned char *from, size_t length, const unsigned char *mask) {
    uint64_t wide;
    memcpy(&wide, mask, 4);
    memcpy(reinterpret_cast<unsigned char *>(&wide) + 4, mask, 4);
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
      uint64_t word;
      memcpy(&word, from + i, 8);
      word ^= wide;
      memcpy(to + i, &word, 8);
    }
    for (; i < length; i++) {
      to[i] = from[i] ^ mask[i % 4];
    }
  }
};

} // namespace uWS
#endif
