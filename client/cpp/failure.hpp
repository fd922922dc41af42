// Failure of a request: what the status that gRPC gives means for who sent it.
#pragma once

#include <grpcpp/support/status.h>

#include <cstdint>
#include <string>

#include "tracking_client.hpp"

namespace exatrkx {

// What a request says of the deadline after which no step of the server starts: microseconds since 1970.
inline constexpr const char* kDeadline = "deadline_unix_us";

// The error of a call that is not about an event.
[[nodiscard]] Error failure(const grpc::Status& status, const std::string& server);

// The error of an event's request. Served models sign theirs with the request's digest: another's signature, and an
// error out of an ensemble without any, is never the event's.
[[nodiscard]] Error failure(const grpc::Status& status, const std::string& server, const std::string& request_id,
                            std::int64_t digest);

}  // namespace exatrkx
