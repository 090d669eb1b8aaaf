/* Stands in for the engine's header of this name; the decoder is zig/http/chunked.zig. */
#ifndef UWS_CHUNKEDENCODING_H
#define UWS_CHUNKEDENCODING_H

#include "ProxyParser.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace uWS {

/* Explicit bounds of what a client may send (zig/http/head.zig holds the same struct). */
struct HttpLimits {
  uint32_t maxRequestLine = 8192;
  uint32_t maxHeaderBytes = 16384;
  uint32_t maxHeaderCount = 100;
  uint32_t maxChunkExtensionBytes = 4096;
  uint32_t maxTrailerBytes = 8192;
  ProxyMode proxyMode = ProxyMode::Off;
  uint64_t maxBody = UINT64_MAX;
};

struct HttpText {
  char *data;
  size_t length;

  operator std::string_view() const { return {data, length}; }
};

struct ChunkedDecoder {
  uint64_t remaining = 0;
  uint64_t total = 0;
  uint32_t bounded = 0;
  uint8_t digits = 0;
  uint8_t state = 0;
};

enum ChunkedStep : int32_t { CHUNKED_MORE = 0, CHUNKED_DATA = 1, CHUNKED_END = 2 };

/* A step, or a negated HttpError. */
extern "C" int32_t http_chunk_step(ChunkedDecoder *decoder, HttpText *input, const HttpLimits *limits, HttpText *out);

} // namespace uWS
#endif
