// Credentials of a connection: what gRPC makes of a server's address, PEM files and a token.
#pragma once

#include <grpcpp/security/credentials.h>

#include <memory>
#include <string>

#include "tracking_client.hpp"

namespace exatrkx {

// A server's address, out of a URL; std::invalid_argument where it is none.
struct Address {
  explicit Address(const std::string& url);

  bool secure = false, loopback = false;
  std::string target;  // host:port
  std::string name;    // with the scheme, for messages
};

// std::invalid_argument where a file cannot be read, or where what was meant to be encrypted would not be.
[[nodiscard]] std::shared_ptr<grpc::ChannelCredentials> channel_credentials(const Address& address,
                                                                            const Credentials& credentials);

// `Bearer TOKEN`, and nothing without a token; std::invalid_argument where that is no word of RFC 6750's characters.
[[nodiscard]] std::string bearer(const std::string& token);

}  // namespace exatrkx
