/* Stands in for the engine's header of this name: a function that is called by one owner. It takes one word where it lies, as each
 * connection has several that are mostly empty; what it refers to is allocated when it is set. */
#ifndef UWS_MOVEONLYFUNCTION_H
#define UWS_MOVEONLYFUNCTION_H

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace uWS {

template <typename Signature> class MoveOnlyFunction;

template <typename Result, typename... Arguments> class MoveOnlyFunction<Result(Arguments...)> {
public:
  MoveOnlyFunction() = default;
  MoveOnlyFunction(std::nullptr_t) {}
  MoveOnlyFunction(MoveOnlyFunction &&) = default;
  MoveOnlyFunction &operator=(MoveOnlyFunction &&) = default;

  template <typename Function, typename = std::enable_if_t<!std::is_same_v<std::decay_t<Function>, MoveOnlyFunction>>>
  MoveOnlyFunction(Function &&function)
      : target(std::make_unique<Holder<std::decay_t<Function>>>(std::forward<Function>(function))) {}

  explicit operator bool() const { return static_cast<bool>(target); }

  Result operator()(Arguments... arguments) { return target->call(std::forward<Arguments>(arguments)...); }

private:
  struct Target {
    virtual ~Target() = default;
    virtual Result call(Arguments... arguments) = 0;
  };

  template <typename Function> struct Holder final : Target {
    Function function;

    explicit Holder(Function &&given) : function(std::move(given)) {}
    explicit Holder(const Function &given) : function(given) {}
    Result call(Arguments... arguments) override { return function(std::forward<Arguments>(arguments)...); }
  };

  std::unique_ptr<Target> target;
};

} // namespace uWS
#endif
