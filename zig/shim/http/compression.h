/* What an app that compresses responses knows of each, and its calls of the program, which decides and has the coders. An app that
 * does not compress has none of this, and pays a comparison with a null pointer. */
#ifndef SK_HTTP_COMPRESSION_H
#define SK_HTTP_COMPRESSION_H

#include "abi/socketify.h"
#include "http/engine.h"
#include "http/slot_table.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace sk {

struct Head;

/* What the program gives while a call of it goes on. */
class CoderOutput {
public:
  CoderOutput();
  CoderOutput(const CoderOutput &) = delete;
  ~CoderOutput();

  /* To that of the call under way; false when there is no memory. */
  static bool append(std::string_view data);

  std::string text;

private:
  CoderOutput *before;
};

class Compression {
public:
  struct Coding {
    /* The request's Accept-Encoding. */
    std::string accepts;
    bool matches_weakly = false;
    /* The program does not want it. */
    bool is_off = false;
    /* What the program knows the coder by; 0 for none. */
    uint32_t coder = 0;
    /* Of the content, before it is coded, where that is known; it may have been begun by sk_res_try_end. */
    std::optional<uint64_t> total;
    bool is_tried = false;
    /* Content that the coder did not get yet. */
    uWS::BackPressure waiting;
    /* The program has ended the response: what waits is the last of it, and then come trailers if it gave some. */
    bool is_ended = false;
    std::optional<std::string> trailers;
    int32_t trailer_fields = 0;
    bool wants_writable = false;
  };

  /* The head to send. Without a block it is that of the program. */
  struct Plan {
    /* The response ended meanwhile. */
    bool is_gone = false;
    bool is_coded = false;
    std::string block;
    int32_t fields = 0;
  };

  Compression(uint64_t minimum_size, sk_plan_fn plan, sk_code_fn code) : minimum_size(minimum_size), ask(plan), code_piece(code) {}

  /* A request of the connection begins, its response has ended, or the connection ends. */
  void begin(const Slot &slot, const uWS::HttpRequest &request);
  void end(const Slot &slot);
  void forget(const Slot &slot);

  /* Of the current request. */
  std::shared_ptr<Coding> coding(const Slot &slot);

  /* Asks about a response; without a length that is not known. */
  Plan plan(Slot &slot, const Head &head, std::optional<uint64_t> length, int32_t flags);
  /* Lets the response's coder work. False when the response ended meanwhile, or was cut as the coder failed. */
  bool code(Slot &slot, Coding &coding, std::string_view data, int32_t operation, std::string &out);

private:
  void drop(Coding &coding);

  uint64_t minimum_size;
  sk_plan_fn ask;
  sk_code_fn code_piece;
  /* Shared, as one may be looked at when its connection closes. */
  std::unordered_map<uint32_t, std::shared_ptr<Coding>> codings;
};

} // namespace sk
#endif
