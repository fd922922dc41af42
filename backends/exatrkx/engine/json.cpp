#include "json.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "errors.hpp"

namespace exatrkx {

namespace {

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Json document() {
    Json value = this->value(0);
    skip_space();
    if (at_ != text_.size()) fail("the end");
    return value;
  }

 private:
  static constexpr int kDeepest = 100;  // nesting, each level of which takes stack

  [[noreturn]] void fail(const char* expected) const {
    throw ContractError("JSON: expected " + std::string(expected) + " at character " + std::to_string(at_));
  }
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
  }
  bool take(char wanted) {
    skip_space();
    if (peek() != wanted) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  Json value(int depth) {
    if (depth > kDeepest) fail("less nesting");
    skip_space();
    if (peek() == '{') return object(depth);
    if (peek() == '[') return array(depth);
    if (peek() == '"') return Json(string());
    for (const char* word : {"true", "false"}) {
      if (take_word(word)) return Json(std::string(word));
    }
    if (take_word("null")) return Json();
    return number();
  }

  Json object(int depth) {
    Json::Object members;
    take('{');
    if (take('}')) return Json(std::move(members));
    do {
      skip_space();
      std::string name = string();
      if (!take(':')) fail("':'");
      members.insert_or_assign(std::move(name), value(depth + 1));
    } while (take(','));
    if (!take('}')) fail("',' or '}'");
    return Json(std::move(members));
  }

  Json array(int depth) {
    Json::Array elements;
    take('[');
    if (take(']')) return Json(std::move(elements));
    do {
      elements.push_back(value(depth + 1));
    } while (take(','));
    if (!take(']')) fail("',' or ']'");
    return Json(std::move(elements));
  }

  Json number() {
    const char* begin = text_.data() + at_;
    double parsed = 0.0;
    const auto result = std::from_chars(begin, text_.data() + text_.size(), parsed);
    const bool digits = peek() == '-' || (peek() >= '0' && peek() <= '9');  // neither inf nor nan
    if (!digits || result.ec == std::errc::invalid_argument) fail("a value");
    at_ += static_cast<std::size_t>(result.ptr - begin);
    return Json(std::string(begin, result.ptr));
  }

  std::string string() {
    if (peek() != '"') fail("'\"'");
    ++at_;
    std::string result;
    while (peek() != '"') {
      if (at_ >= text_.size() || static_cast<unsigned char>(text_[at_]) < 0x20) fail("the end of a string");
      if (text_[at_] == '\\') {
        ++at_;
        escaped(result);
      } else {
        result += text_[at_++];
      }
    }
    ++at_;
    return result;
  }

  void escaped(std::string& result) {
    static constexpr std::array<std::pair<char, char>, 8> kEscapes{{
        {'"', '"'}, {'\\', '\\'}, {'/', '/'}, {'b', '\b'}, {'f', '\f'}, {'n', '\n'}, {'r', '\r'}, {'t', '\t'}}};
    const char letter = peek();
    if (letter == 'u') return unicode(result);
    const auto* found =
        std::find_if(kEscapes.begin(), kEscapes.end(), [&](const auto& pair) { return pair.first == letter; });
    if (found == kEscapes.end()) fail("an escape");
    ++at_;
    result += found->second;
  }

  // \uXXXX, or a pair of them beyond the basic plane, as UTF-8.
  void unicode(std::string& result) {
    std::uint32_t code = four_digits();
    if (code >= 0xD800 && code < 0xDC00) {
      if (!take_word("\\")) fail("the second half of a surrogate pair");
      const std::uint32_t low = four_digits();
      if (low < 0xDC00 || low > 0xDFFF) fail("the second half of a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    const auto continuation = [&](int shift) { return static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
    if (code < 0x80) {
      result += static_cast<char>(code);
    } else if (code < 0x800) {
      result += {static_cast<char>(0xC0 | (code >> 6)), continuation(0)};
    } else if (code < 0x10000) {
      result += {static_cast<char>(0xE0 | (code >> 12)), continuation(6), continuation(0)};
    } else {
      result += {static_cast<char>(0xF0 | (code >> 18)), continuation(12), continuation(6), continuation(0)};
    }
  }

  std::uint32_t four_digits() {
    if (!take_word("u")) fail("'u'");
    const std::string_view digits = text_.substr(at_, 4);
    std::uint32_t code = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (digits.size() < 4 || result.ptr != digits.data() + 4) fail("four hexadecimal digits");
    at_ += 4;
    return code;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Json Json::parse(std::string_view text) { return Parser(text).document(); }

const Json& Json::operator[](std::string_view name) const {
  static const Json kNull;
  const auto found = members_.find(name);
  return found == members_.end() ? kNull : found->second;
}

const std::string& Json::text() const {
  if (kind_ != Kind::kText) throw ContractError("JSON: expected a string or a number");
  return text_;
}

}  // namespace exatrkx
