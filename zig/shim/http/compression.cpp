#include "http/compression.h"

#include "http/app.h"
#include "http/callback.h"
#include "http/head.h"
#include "http/memory.h"
#include "http/response.h"

#include <algorithm>
#include <utility>

namespace sk {

namespace {

thread_local CoderOutput *current_output = nullptr;

/* RFC 9110 section 12.5.3: content as it is is refused by its name, the only one with a "y", or by the star. */
bool mayRefuseIdentity(std::string_view accepts) { return accepts.find_first_of("*yY") != std::string_view::npos; }

/* Of these there is no content, or only a part of it, or it is no content at all. */
bool isNeverCoded(const Slot &slot, int status) {
  return status == 204 || status == 205 || status == 206 || ((slot.flags & TUNNEL) && status < 300);
}

} // namespace

CoderOutput::CoderOutput() : before(std::exchange(current_output, this)) {}

CoderOutput::~CoderOutput() { current_output = before; }

bool CoderOutput::append(std::string_view data) {
  if (!current_output || !makeRoom(current_output->text, data.length())) {
    return false;
  }
  current_output->text.append(data);
  return true;
}

void Compression::begin(const Slot &slot, const uWS::HttpRequest &request) {
  auto coding = std::make_shared<Coding>();
  for (auto [name, value] : request) {
    if (name == "accept-encoding") {
      coding->accepts.append(coding->accepts.empty() ? "" : ",").append(value);
    } else if (name == "if-none-match") {
      coding->matches_weakly |= value.find("W/") != std::string_view::npos;
    }
  }
  if (std::shared_ptr<Coding> before = std::exchange(codings[indexOf(slot)], std::move(coding))) {
    drop(*before);
  }
}

void Compression::end(const Slot &slot) {
  auto found = codings.find(indexOf(slot));
  /* A coder is dropped where the program may be called. */
  if (found != codings.end() && found->second && !found->second->coder) {
    found->second.reset();
  }
}

void Compression::forget(const Slot &slot) {
  auto found = codings.find(indexOf(slot));
  if (found != codings.end()) {
    std::shared_ptr<Coding> coding = std::move(found->second);
    codings.erase(found);
    if (coding) {
      drop(*coding);
    }
  }
}

void Compression::drop(Coding &coding) {
  if (uint32_t coder = std::exchange(coding.coder, 0)) {
    beforeCallback();
    code_piece(coder, nullptr, 0, SK_CODE_DROP, nextReceipt());
  }
}

std::shared_ptr<Compression::Coding> Compression::coding(const Slot &slot) {
  std::shared_ptr<Coding> &coding = codings[indexOf(slot)];
  if (!coding) {
    coding = std::make_shared<Coding>();
  }
  return coding;
}

Compression::Plan Compression::plan(Slot &slot, const Head &head, std::optional<uint64_t> length, int32_t flags) {
  HeadFacts facts = inspect(head);
  std::shared_ptr<Coding> of = coding(slot);
  Plan plan;
  bool answers_head = slot.flags & HEAD_REQUEST;
  if (!facts.valid || of->is_off || isNeverCoded(slot, facts.status)) {
    return plan;
  }
  if (facts.has_length && ((flags & SK_KEEP_LENGTH) || answers_head)) {
    if (length && *length != facts.length && !answers_head) {
      /* It is refused by who sends it. */
      return plan;
    }
    length = facts.length;
  }
  bool is_unmodified = facts.status == 304;
  bool is_small = length && *length < minimum_size && !is_unmodified;
  if (is_small && (!*length || !mayRefuseIdentity(of->accepts))) {
    return plan;
  }
  bool bodiless = answers_head || is_unmodified;
  int32_t about =
      (is_small ? SK_PLAN_SMALL : 0) | (bodiless ? SK_PLAN_BODILESS : 0) | (of->matches_weakly ? SK_PLAN_WEAK_MATCH : 0);
  uint32_t handle = handleOf(slot);
  CoderOutput output;
  beforeCallback();
  int32_t receipt = nextReceipt();
  int32_t result = ask(handle, of->accepts.data(), of->accepts.length(), head.block.data(), head.block.length(), about, receipt);
  plan.is_coded = result == receipt + SK_PLAN_CODED;
  Slot *still = findHttpSlot(handle);
  plan.is_gone = !still || (still->flags & HEAD_SENT);
  if (plan.is_coded && !bodiless) {
    of->coder = handle;
    if (plan.is_gone) {
      drop(*of);
    }
  }
  if (plan.is_coded || result == receipt) {
    plan.block = std::move(output.text);
    plan.fields = static_cast<int32_t>(std::count(plan.block.begin(), plan.block.end(), '\n') / 2);
  }
  return plan;
}

bool Compression::code(Slot &slot, Coding &coding, std::string_view data, int32_t operation, std::string &out) {
  uint32_t generation = slot.generation;
  CoderOutput output;
  beforeCallback();
  int32_t receipt = nextReceipt();
  bool done = code_piece(coding.coder, data.data(), data.length(), operation, receipt) == receipt;
  if (done && operation == SK_CODE_END) {
    coding.coder = 0;
  }
  if (slot.generation != generation) {
    return false;
  }
  if (!done) {
    cut(slot);
    return false;
  }
  out = std::move(output.text);
  return true;
}

} // namespace sk
