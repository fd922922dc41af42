#include "failure.hpp"

#include <regex>

#include "host_digest.hpp"

namespace exatrkx {

namespace {

bool contains(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

void erase(std::string& text, const std::string& words) {
  if (const std::size_t place = text.find(words); place != std::string::npos) text.erase(place, words.size());
}

Error::Kind kind_of(grpc::StatusCode code, const std::string& reason) {
  using Kind = Error::Kind;
  // OpenSSL's words and BoringSSL's, and those of gRPC's own check of the name.
  static const std::regex untrusted("certificate.verify.failed|Hostname Verification Check failed", std::regex::icase);
  if (std::regex_search(reason, untrusted) || contains(reason, "This protocol is restricted")) return Kind::access;
  if (contains(reason, kDeadline)) return Kind::deadline;
  switch (code) {
    case grpc::UNAVAILABLE:
    case grpc::CANCELLED:
      return Kind::unavailable;
    case grpc::DEADLINE_EXCEEDED:
      return Kind::deadline;
    case grpc::INVALID_ARGUMENT:
    case grpc::OUT_OF_RANGE:
    case grpc::RESOURCE_EXHAUSTED:
      return Kind::rejected;
    case grpc::PERMISSION_DENIED:
    case grpc::UNAUTHENTICATED:
      return Kind::access;
    case grpc::NOT_FOUND:  // a model that is known and not loaded is there soon, or was there until now
      return contains(reason, "has no available versions") ? Kind::unavailable : Kind::model;
    default:
      return contains(reason, "Stream removed") ? Kind::unavailable : Kind::server;
  }
}

}  // namespace

Error failure(const grpc::Status& status, const std::string& server) {
  const std::string reason = status.error_message();
  const Error::Kind kind = kind_of(status.error_code(), reason);
  return {kind, server + ": " + reason + (kind == Error::Kind::access ? "; access denied" : "")};
}

Error failure(const grpc::Status& status, const std::string& server, const std::string& request_id,
              std::int64_t digest) {
  static const std::regex any_signature(R"( \[request (?:0x[0-9a-f]{16}|unknown)\])");
  const Error error = failure(status, server);
  std::string text = error.what();
  erase(text, "[request id: " + request_id + "] ");
  std::smatch found;
  const std::string signed_by = std::regex_search(text, found, any_signature) ? found.str() : "";
  erase(text, signed_by);
  const bool of_event = error.kind() == Error::Kind::rejected || error.kind() == Error::Kind::server;
  const bool others = signed_by.empty() ? contains(text, "in ensemble '") : signed_by != signature(digest);
  if (of_event && others) return {Error::Kind::unproven, "an error that may be another request's: " + text};
  return {error.kind(), text};
}

}  // namespace exatrkx
