#include "websocket/deflate.h"

#include "http/ascii.h"

#include <algorithm>
#include <dlfcn.h>
#include <mutex>

namespace sk {

namespace {

constexpr int BITS_MAX = 15;
/* zlib's raw deflate cannot keep to a window of 256 bytes. */
constexpr int COMPRESSOR_BITS_MIN = 9;

#if defined(__APPLE__)
constexpr const char *LIBRARY_NAMES[] = {"libz.1.dylib", "libz.dylib"};
#else
constexpr const char *LIBRARY_NAMES[] = {"libz.so.1", "libz.so"};
#endif

template <typename Function> bool find(void *library, const char *name, Function &function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

/* All or nothing, from one library. */
bool bind(void *library) {
  Zlib found{};
  bool complete = library && find(library, "deflateInit2_", found.deflate_init) && find(library, "deflate", found.deflate) &&
                  find(library, "deflateReset", found.deflate_reset) && find(library, "deflateEnd", found.deflate_end) &&
                  find(library, "inflateInit2_", found.inflate_init) && find(library, "inflate", found.inflate) &&
                  find(library, "inflateReset", found.inflate_reset) && find(library, "inflateEnd", found.inflate_end);
  if (complete) {
    zlib = found;
  }
  return complete;
}

/* The text up to a separator, which goes too. Quoted values hold only numbers here: none has a separator in it. */
std::string_view take(std::string_view &rest, char separator) {
  size_t end = rest.find(separator);
  std::string_view taken = trim(rest.substr(0, end));
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  return taken;
}

/* RFC 7692 section 7.1.2: 8 to 15 without leading zeros; 0 for anything else. */
int windowBits(std::string_view value) {
  if (value.length() >= 2 && value.front() == '"' && value.back() == '"') {
    value = value.substr(1, value.length() - 2);
  }
  int bits = 0;
  if (value.length() == 1 && value[0] >= '8' && value[0] <= '9') {
    bits = value[0] - '0';
  } else if (value.length() == 2 && value[0] == '1' && value[1] >= '0' && value[1] <= '5') {
    bits = 10 + value[1] - '0';
  }
  return bits;
}

struct Offer {
  bool server_no_context = false;
  bool client_no_context = false;
  /* 0 when nothing was said. */
  int server_bits = 0;
  int client_bits = 0;
};

/* False for a parameter that is unknown, repeated, or has a wrong value: the offer is declined then. */
bool readParameter(Offer &offer, std::string_view parameter) {
  std::string_view rest = parameter;
  std::string_view name = take(rest, '=');
  bool has_value = name.length() != parameter.length();
  if (name == "server_no_context_takeover") {
    return !has_value && !std::exchange(offer.server_no_context, true);
  }
  if (name == "client_no_context_takeover") {
    return !has_value && !std::exchange(offer.client_no_context, true);
  }
  if (name == "server_max_window_bits" && !offer.server_bits) {
    return (offer.server_bits = windowBits(trim(rest))) != 0;
  }
  if (name == "client_max_window_bits" && !offer.client_bits) {
    return (offer.client_bits = has_value ? windowBits(trim(rest)) : BITS_MAX) != 0;
  }
  return false;
}

bool readOffer(Offer &offer, std::string_view text) {
  if (take(text, ';') != "permessage-deflate") {
    return false;
  }
  while (!text.empty()) {
    if (!readParameter(offer, take(text, ';'))) {
      return false;
    }
  }
  return true;
}

/* Bits of our compressor's window, 0 for the shared one, which has the largest and forgets; -1 when the offer cannot be met. */
int compressorBits(const Offer &offer, int wanted) {
  int limit = offer.server_bits ? offer.server_bits : BITS_MAX;
  if ((offer.server_no_context || !wanted) && limit == BITS_MAX) {
    return 0;
  }
  int bits = wanted ? std::min(wanted, limit) : limit;
  return bits < COMPRESSOR_BITS_MIN ? -1 : bits;
}

/* Bits of the client's window, 0 for our shared decompressor. */
int decompressorBits(const Offer &offer, int wanted) {
  if (!wanted || offer.client_no_context) {
    return 0;
  }
  if (wanted == BITS_MAX) {
    return offer.client_bits ? offer.client_bits : BITS_MAX;
  }
  /* A client that did not offer it need not use a smaller window. */
  return offer.client_bits ? std::min(wanted, offer.client_bits) : 0;
}

/* Memory level as the engine's names have it: 9 bits go with 2, 15 with 8. */
unsigned int compressorOptions(int bits, unsigned int wanted) {
  unsigned int options = static_cast<unsigned int>(bits) << 4 | static_cast<unsigned int>(bits - 7);
  bool smallest = wanted == uWS::CompressOptions::DEDICATED_COMPRESSOR_3KB;
  return smallest ? static_cast<unsigned int>(uWS::CompressOptions::DEDICATED_COMPRESSOR_3KB) : options;
}

Deflate accept(const Offer &offer, uWS::CompressOptions wanted) {
  unsigned int compressor = wanted & uWS::CompressOptions::_COMPRESSOR_MASK;
  unsigned int decompressor = wanted & uWS::CompressOptions::_DECOMPRESSOR_MASK;
  int server_bits = compressorBits(offer, static_cast<int>(compressor >> 4));
  int wanted_client_bits = decompressor == uWS::CompressOptions::SHARED_DECOMPRESSOR ? 0 : static_cast<int>(decompressor >> 8);
  int client_bits = decompressorBits(offer, wanted_client_bits);
  if (server_bits < 0) {
    return {};
  }
  bool forgets = offer.server_no_context || !server_bits;
  Deflate deflate{true, forgets, uWS::CompressOptions::DISABLED, "permessage-deflate"};
  unsigned int options = server_bits ? compressorOptions(server_bits, compressor) : uWS::CompressOptions::SHARED_COMPRESSOR;
  if (forgets) {
    deflate.answer += "; server_no_context_takeover";
  }
  int window = server_bits ? server_bits : BITS_MAX;
  if (offer.server_bits || window < BITS_MAX) {
    deflate.answer += "; server_max_window_bits=" + std::to_string(window);
  }
  options |= client_bits ? static_cast<unsigned int>(client_bits) << 8
                         : static_cast<unsigned int>(uWS::CompressOptions::SHARED_DECOMPRESSOR);
  if (!client_bits) {
    deflate.answer += "; client_no_context_takeover";
  } else if (client_bits < BITS_MAX) {
    deflate.answer += "; client_max_window_bits=" + std::to_string(client_bits);
  }
  deflate.options = static_cast<uWS::CompressOptions>(options);
  return deflate;
}

} // namespace

bool loadZlib(const char *path) {
  static std::mutex once;
  std::lock_guard<std::mutex> lock(once);
  if (zlib.deflate_init) {
    return true;
  }
  /* A copy that is loaded already is the one that Python's own zlib module uses. */
  for (int flags : {RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD, RTLD_NOW | RTLD_LOCAL}) {
    for (const char *name : LIBRARY_NAMES) {
      if (bind(dlopen(name, flags))) {
        return true;
      }
    }
  }
  return bind(RTLD_DEFAULT) || (path && bind(dlopen(path, RTLD_NOW | RTLD_LOCAL)));
}

void prepareSharedStreams() {
  auto *data = static_cast<uWS::LoopData *>(us_loop_ext(currentLoop()));
  if (!data->zlibContext) {
    data->zlibContext = new uWS::ZlibContext;
    data->inflationStream = new uWS::InflationStream(uWS::CompressOptions::DEDICATED_DECOMPRESSOR);
    data->deflationStream = new uWS::DeflationStream(uWS::CompressOptions::DEDICATED_COMPRESSOR);
  }
}

Deflate negotiateDeflate(uWS::CompressOptions wanted, std::string_view offers) {
  while (!offers.empty()) {
    Offer offer;
    if (readOffer(offer, take(offers, ','))) {
      if (Deflate deflate = accept(offer, wanted); deflate.agreed) {
        return deflate;
      }
    }
  }
  return {};
}

} // namespace sk
