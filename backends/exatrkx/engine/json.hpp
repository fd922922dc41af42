// JSON (RFC 8259), as much as configurations need: read whole, then asked by name.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace exatrkx {

class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::map<std::string, Json, std::less<>>;

  // Throws ContractError, with the offset of the first character that is no JSON.
  [[nodiscard]] static Json parse(std::string_view text);

  Json() = default;  // null
  explicit Json(Array elements) : kind_(Kind::kArray), elements_(std::move(elements)) {}
  explicit Json(Object members) : kind_(Kind::kObject), members_(std::move(members)) {}
  // A string, or a number or a word as it is written: who asks knows what it should be.
  explicit Json(std::string text) : kind_(Kind::kText), text_(std::move(text)) {}

  // The member of an object; null where there is none, or this is no object.
  [[nodiscard]] const Json& operator[](std::string_view name) const;
  // Of an array, and of an object; none where this is something else.
  [[nodiscard]] const Array& elements() const noexcept { return elements_; }
  [[nodiscard]] const Object& members() const noexcept { return members_; }
  // The text of a string, a number, true or false. Throws ContractError where this is none of them.
  [[nodiscard]] const std::string& text() const;
  [[nodiscard]] bool is_null() const noexcept { return kind_ == Kind::kNull; }

 private:
  enum class Kind { kNull, kText, kArray, kObject };

  Kind kind_ = Kind::kNull;
  std::string text_;
  Array elements_;
  Object members_;
};

}  // namespace exatrkx
