/* Stands in for zlib's header: the declarations that the engine's per-message deflate needs, of functions that are looked up
 * when a route first wants compression. Nothing of zlib is needed to build, and none is shipped. */
#ifndef SK_ZLIB_H
#define SK_ZLIB_H

typedef unsigned char Byte;
typedef Byte Bytef;
typedef unsigned int uInt;
typedef unsigned long uLong;

struct internal_state;

/* The layout is part of zlib's ABI since its version 1. */
struct z_stream {
  const Bytef *next_in;
  uInt avail_in;
  uLong total_in;
  Bytef *next_out;
  uInt avail_out;
  uLong total_out;
  const char *msg;
  internal_state *state;
  void *(*zalloc)(void *opaque, uInt items, uInt size);
  void (*zfree)(void *opaque, void *address);
  void *opaque;
  int data_type;
  uLong adler;
  uLong reserved;
};

enum { Z_OK = 0, Z_BUF_ERROR = -5, Z_SYNC_FLUSH = 2, Z_DEFLATED = 8, Z_DEFAULT_COMPRESSION = -1, Z_DEFAULT_STRATEGY = 0 };

namespace sk {

struct Zlib {
  int (*deflate_init)(z_stream *, int level, int method, int window_bits, int memory_level, int strategy, const char *version,
                      int stream_size);
  int (*deflate)(z_stream *, int flush);
  int (*deflate_reset)(z_stream *);
  int (*deflate_end)(z_stream *);
  int (*inflate_init)(z_stream *, int window_bits, const char *version, int stream_size);
  int (*inflate)(z_stream *, int flush);
  int (*inflate_reset)(z_stream *);
  int (*inflate_end)(z_stream *);
};

/* Null until it is loaded; the engine makes no stream before. */
inline Zlib zlib{};
/* zlib compares the first character with its own. */
inline constexpr char ZLIB_VERSION_ONE[] = "1";

} // namespace sk

inline int deflateInit2(z_stream *stream, int level, int method, int window_bits, int memory_level, int strategy) {
  return sk::zlib.deflate_init(stream, level, method, window_bits, memory_level, strategy, sk::ZLIB_VERSION_ONE,
                               static_cast<int>(sizeof(z_stream)));
}

inline int deflate(z_stream *stream, int flush) { return sk::zlib.deflate(stream, flush); }
inline int deflateReset(z_stream *stream) { return sk::zlib.deflate_reset(stream); }
inline int deflateEnd(z_stream *stream) { return sk::zlib.deflate_end(stream); }

inline int inflateInit2(z_stream *stream, int window_bits) {
  return sk::zlib.inflate_init(stream, window_bits, sk::ZLIB_VERSION_ONE, static_cast<int>(sizeof(z_stream)));
}

inline int inflate(z_stream *stream, int flush) { return sk::zlib.inflate(stream, flush); }
inline int inflateReset(z_stream *stream) { return sk::zlib.inflate_reset(stream); }
inline int inflateEnd(z_stream *stream) { return sk::zlib.inflate_end(stream); }

#endif
