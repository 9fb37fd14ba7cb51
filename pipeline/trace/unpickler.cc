#include "pipeline/trace/unpickler.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "pipeline/trace/pickle_globals.h"

namespace evenkeel {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers of a pickle are read in place");

/// Numbers of pickletools.opcodes.
enum Opcode : std::uint8_t {
  kMark = '(',
  kEmptyTuple = ')',
  kStop = '.',
  kBinFloat = 'G',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersistentId = 'Q',
  kReduce = 'R',
  kBinUnicode = 'X',
  kEmptyList = ']',
  kAppend = 'a',
  kGlobal = 'c',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kSetItems = 'u',
  kEmptyDict = '}',
  kProtocol = 0x80,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
};

constexpr std::uint8_t kProtocolVersion = 2;

// What things cost, beside their elements; vectors have room to grow, hence two values an element.
constexpr std::size_t kElementCost = 2;
constexpr std::size_t kContainerCost = 4;
/// pickle appends in batches of 1,000; only a tuple lies on the stack as a whole.
constexpr std::size_t kStackMax = std::size_t{1} << 16;
/// Open marks: a recording nests five containers.
constexpr std::size_t kMarksMax = 64;
constexpr std::size_t kTextBytesMax = std::size_t{1} << 16;
constexpr std::size_t kNameBytesMax = 256;
/// A record has ten keys. Looking a key up walks over all of them.
constexpr std::size_t kItemsMax = 1024;

}  // namespace

Result<PickleDocument> Unpickler::run() {
  if (bytes_.size() < 2 || static_cast<std::uint8_t>(bytes_[0]) != kProtocol ||
      static_cast<std::uint8_t>(bytes_[1]) != kProtocolVersion) {
    return error("it is no pickle of protocol 2; write it with torch.save's default protocol");
  }
  at_ = 2;
  for (;;) {
    start_ = at_;
    EVENKEEL_TRY(opcode, take_number<std::uint8_t>());
    if (opcode == kStop) break;
    EVENKEEL_TRY_STATUS(step(opcode));
  }
  EVENKEEL_TRY(root, pop());
  if (!stack_.empty() || !marks_.empty()) return error("it stops with values left over; record it again");
  document_.root_ = root;
  return std::move(document_);
}

Status Unpickler::step(std::uint8_t opcode) {
  switch (opcode) {
    case kNone:
      return push(PickleNone{});
    case kNewTrue:
      return push(true);
    case kNewFalse:
      return push(false);
    case kBinUnicode:
      return push_text();
    case kGlobal:
      return push_global();
    case kBinPersistentId:
      return push_storage();
    case kReduce:
      return reduce();
    case kMark:
      if (marks_.size() == kMarksMax)
        return error(fmt::format("it nests deeper than {} levels; no recording does", kMarksMax));
      marks_.push_back(stack_.size());
      return {};
    case kBinInt:
    case kBinInt1:
    case kBinInt2:
    case kLong1:
    case kBinFloat:
      return step_number(opcode);
    case kBinPut:
    case kLongBinPut:
    case kBinGet:
    case kLongBinGet:
      return step_memo(opcode);
    default:
      return step_container(opcode);
  }
}

Status Unpickler::step_number(std::uint8_t opcode) {
  if (opcode == kBinInt1) {
    EVENKEEL_TRY(number, take_number<std::uint8_t>());
    return push(std::int64_t{number});
  }
  if (opcode == kBinInt2) {
    EVENKEEL_TRY(number, take_number<std::uint16_t>());
    return push(std::int64_t{number});
  }
  if (opcode == kBinInt) {
    EVENKEEL_TRY(number, take_number<std::int32_t>());
    return push(std::int64_t{number});
  }
  if (opcode == kLong1) return push_long();
  EVENKEEL_TRY(bits, take_number<std::uint64_t>());
  return push(std::bit_cast<double>(__builtin_bswap64(bits)));
}

Status Unpickler::step_memo(std::uint8_t opcode) {
  std::size_t index = 0;
  if (opcode == kBinPut || opcode == kBinGet) {
    EVENKEEL_TRY(number, take_number<std::uint8_t>());
    index = number;
  } else {
    EVENKEEL_TRY(number, take_number<std::uint32_t>());
    index = number;
  }
  return opcode == kBinPut || opcode == kLongBinPut ? remember(index) : recall(index);
}

Status Unpickler::step_container(std::uint8_t opcode) {
  switch (opcode) {
    case kEmptyList:
      EVENKEEL_TRY_STATUS(spend(kContainerCost));
      document_.lists_.emplace_back();
      return push(PickleList(document_.lists_.size() - 1));
    case kEmptyDict:
      return push_dict();
    case kEmptyTuple:
      return push_tuple(pop_some(0));
    case kTuple1:
      return push_tuple(pop_some(1));
    case kTuple2:
      return push_tuple(pop_some(2));
    case kTuple3:
      return push_tuple(pop_some(3));
    case kTuple:
      return push_tuple(pop_to_mark());
    case kAppend:
      return append(pop_some(1));
    case kAppends:
      return append(pop_to_mark());
    case kSetItem:
      return set_items(pop_some(2));
    case kSetItems:
      return set_items(pop_to_mark());
    default:
      return error(
          fmt::format("instruction 0x{:02x} is none that a recording needs, so it is not carried out", opcode));
  }
}

Result<std::span<const std::byte>> Unpickler::take(std::size_t count) {
  if (count > bytes_.size() - at_) return error("it is cut short; record or copy it again");
  const auto taken = bytes_.subspan(at_, count);
  at_ += count;
  return taken;
}

template <class T>
Result<T> Unpickler::take_number() {
  EVENKEEL_TRY(taken, take(sizeof(T)));
  T number{};
  std::memcpy(&number, taken.data(), sizeof number);
  return number;
}

Result<std::string_view> Unpickler::take_line() {
  const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + at_, bytes_.size() - at_);
  const std::size_t length = rest.substr(0, kNameBytesMax).find('\n');
  if (length == std::string_view::npos) return error("it names something without an end; record or copy it again");
  at_ += length + 1;
  return rest.substr(0, length);
}

Status Unpickler::push(PickleValue value) {
  if (stack_.size() == kStackMax)
    return error(fmt::format("more than {} values wait on the stack; no recording needs that", kStackMax));
  stack_.push_back(value);
  return {};
}

Result<PickleValue> Unpickler::pop() {
  const std::size_t floor = marks_.empty() ? 0 : marks_.back();
  if (stack_.size() <= floor) return error("an instruction finds no value on the stack; record it again");
  const PickleValue value = stack_.back();
  stack_.pop_back();
  return value;
}

Result<Unpickler::Values> Unpickler::pop_to_mark() {
  if (marks_.empty()) return error("an instruction finds no mark on the stack; record it again");
  Values values(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
  stack_.resize(marks_.back());
  marks_.pop_back();
  return values;
}

Result<Unpickler::Values> Unpickler::pop_some(std::size_t count) {
  Values values(count);
  for (std::size_t i = count; i-- > 0;) {
    EVENKEEL_TRY(value, pop());
    values[i] = value;
  }
  return values;
}

Status Unpickler::push_long() {
  EVENKEEL_TRY(length, take_number<std::uint8_t>());
  EVENKEEL_TRY(digits, take(length));
  if (length > sizeof(std::int64_t)) return error(fmt::format("a number has {} bytes; at most 8 are accepted", length));
  const bool is_negative = length > 0 && (digits.back() & std::byte{0x80}) != std::byte{0};
  std::int64_t number = is_negative ? -1 : 0;
  std::memcpy(&number, digits.data(), length);
  return push(number);
}

Status Unpickler::push_text() {
  EVENKEEL_TRY(length, take_number<std::uint32_t>());
  if (length > kTextBytesMax)
    return error(fmt::format("a text has {} bytes; at most {} are accepted", length, kTextBytesMax));
  EVENKEEL_TRY(text, take(length));
  EVENKEEL_TRY_STATUS(spend(kContainerCost + length / sizeof(PickleValue)));
  document_.texts_.emplace_back(reinterpret_cast<const char*>(text.data()), text.size());
  return push(PickleText(document_.texts_.size() - 1));
}

Status Unpickler::push_global() {
  EVENKEEL_TRY(module, take_line());
  EVENKEEL_TRY(name, take_line());
  const auto known = known_global(module, name);
  if (!known) {
    return error(
        fmt::format("it names {}.{}, which is never run; save only tensors of whole numbers or floats, lists, "
                    "dictionaries, numbers and text",
                    printable(module), printable(name)));
  }
  return push(*known);
}

Status Unpickler::push_tuple(Result<Values> values) {
  if (!values) return tl::unexpected(std::move(values).error());
  EVENKEEL_TRY_STATUS(spend(kContainerCost + kElementCost * values->size()));
  document_.tuples_.push_back(std::move(*values));
  return push(PickleTuple(document_.tuples_.size() - 1));
}

Status Unpickler::push_dict() {
  EVENKEEL_TRY_STATUS(spend(kContainerCost));
  document_.dicts_.emplace_back();
  return push(PickleDict(document_.dicts_.size() - 1));
}

Status Unpickler::append(Result<Values> values) {
  if (!values) return tl::unexpected(std::move(values).error());
  EVENKEEL_TRY(target, pop());
  const auto* const id = std::get_if<PickleList>(&target);
  if (id == nullptr) return error("it appends to what is no list; record it again");
  EVENKEEL_TRY_STATUS(spend(kElementCost * values->size()));
  auto& list = document_.lists_[id->index()];
  list.insert(list.end(), values->begin(), values->end());
  return push(target);
}

Status Unpickler::set_items(Result<Values> values) {
  if (!values) return tl::unexpected(std::move(values).error());
  EVENKEEL_TRY(target, pop());
  const auto* const id = std::get_if<PickleDict>(&target);
  if (id == nullptr || values->size() % 2 != 0)
    return error("it sets items of what is no dictionary, or a key without a value; record it again");
  auto& items = document_.dicts_[id->index()];
  if (items.size() + values->size() / 2 > kItemsMax)
    return error(fmt::format("a dictionary has more than {} items; no recording needs that", kItemsMax));
  EVENKEEL_TRY_STATUS(spend(kElementCost * values->size()));
  for (std::size_t i = 0; i < values->size(); i += 2) items.emplace_back((*values)[i], (*values)[i + 1]);
  return push(target);
}

Status Unpickler::remember(std::size_t index) {
  EVENKEEL_TRY(value, pop());
  // Picklers number from 0 in order; so the memo cannot be made large by one instruction.
  if (index > memo_.size())
    return error(fmt::format("it remembers value {} but {} came before; record it again", index, memo_.size()));
  if (index == memo_.size()) {
    EVENKEEL_TRY_STATUS(spend(kElementCost));
    memo_.push_back(value);
  } else {
    memo_[index] = value;
  }
  return push(value);
}

Status Unpickler::recall(std::size_t index) {
  if (index >= memo_.size())
    return error(fmt::format("it recalls value {} of {} that were remembered; record it again", index, memo_.size()));
  return push(memo_[index]);
}

Status Unpickler::spend(std::size_t values) {
  spent_ += values;
  if (spent_ <= values_max_) return {};
  return error(
      fmt::format("it takes more than {} bytes of memory; dump more often", values_max_ * sizeof(PickleValue)));
}

tl::unexpected<Error> Unpickler::error(const std::string& what) const {
  return invalid_input(fmt::format("byte {}: {}", start_, what));
}

}  // namespace evenkeel
