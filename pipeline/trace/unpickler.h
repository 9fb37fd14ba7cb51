#pragma once

#include "pipeline/trace/pickle.h"

namespace evenkeel {

/// The stack machine behind parse_pickle (https://docs.python.org/3/library/pickletools.html, protocol 2). One use.
class Unpickler {
 public:
  Unpickler(std::span<const std::byte> bytes, std::size_t values_max) : bytes_(bytes), values_max_(values_max) {}
  [[nodiscard]] Result<PickleDocument> run();

 private:
  using Values = std::vector<PickleValue>;

  [[nodiscard]] Status step(std::uint8_t opcode);
  [[nodiscard]] Status step_number(std::uint8_t opcode);
  [[nodiscard]] Status step_container(std::uint8_t opcode);
  [[nodiscard]] Status step_memo(std::uint8_t opcode);

  // What instructions carry with them.
  [[nodiscard]] Result<std::span<const std::byte>> take(std::size_t count);
  template <class T>
  [[nodiscard]] Result<T> take_number();
  [[nodiscard]] Result<std::string_view> take_line();

  // The stack.
  [[nodiscard]] Status push(PickleValue value);
  [[nodiscard]] Result<PickleValue> pop();
  [[nodiscard]] Result<Values> pop_to_mark();
  [[nodiscard]] Result<Values> pop_some(std::size_t count);

  // Instructions.
  [[nodiscard]] Status push_long();
  [[nodiscard]] Status push_text();
  [[nodiscard]] Status push_global();
  [[nodiscard]] Status push_tuple(Result<Values> values);
  [[nodiscard]] Status push_dict();
  [[nodiscard]] Status append(Result<Values> values);
  [[nodiscard]] Status set_items(Result<Values> values);
  [[nodiscard]] Status remember(std::size_t index);
  [[nodiscard]] Status recall(std::size_t index);
  [[nodiscard]] Status push_storage();
  [[nodiscard]] Status reduce();
  [[nodiscard]] Status push_tensor(std::span<const PickleValue> arguments);

  [[nodiscard]] Result<std::vector<std::int64_t>> dimensions(const PickleValue& value, std::string_view what) const;
  /// Counts memory, in units of one value, against the limit.
  [[nodiscard]] Status spend(std::size_t values);
  [[nodiscard]] tl::unexpected<Error> error(const std::string& what) const;

  std::span<const std::byte> bytes_;
  std::size_t values_max_;
  std::size_t at_ = 0;
  /// Start of the present instruction, for messages.
  std::size_t start_ = 0;
  std::size_t spent_ = 0;
  Values stack_;
  /// Heights of the stack at open marks.
  std::vector<std::size_t> marks_;
  Values memo_;
  PickleDocument document_;
};

}  // namespace evenkeel
