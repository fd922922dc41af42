#include "credentials.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>

namespace exatrkx {

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string contents(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (!stream || text.empty()) throw std::invalid_argument(file + ": cannot be read, or is empty");
  return text;
}

}  // namespace

Credentials Credentials::from_environment() {
  Credentials found{variable("EXATRKX_TLS_CA"), variable("EXATRKX_TLS_CERT"), variable("EXATRKX_TLS_KEY"),
                    variable("EXATRKX_TOKEN")};
  if (const std::string file = variable("EXATRKX_TOKEN_FILE"); !file.empty()) {
    constexpr const char* kBlanks = " \t\r\n";
    const std::string text = contents(file);
    const std::size_t first = text.find_first_not_of(kBlanks);
    if (first == std::string::npos) throw std::invalid_argument(file + ": no token");
    found.token = text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
  }
  return found;
}

Address::Address(const std::string& url) {
  static const std::regex form(R"((?:grpc(s?)://)?(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]?#]+)(?::([0-9]{1,5}))?/?)");
  std::smatch parts;
  if (!std::regex_match(url, parts, form)) {  // not repeated: it may hold a password
    throw std::invalid_argument("not a server's address; expected host:port, grpc://host:port or grpcs://host:port");
  }
  secure = parts.length(1) > 0;
  const std::string host = parts.str(2);
  target = host + ":" + (parts[3].matched ? parts.str(3) : secure ? "443" : "8001");
  loopback = host == "localhost" || host == "[::1]" || host.starts_with("127.");
  name = (secure ? "grpcs://" : "grpc://") + target;
}

std::shared_ptr<grpc::ChannelCredentials> channel_credentials(const Address& address, const Credentials& credentials) {
  const auto& [ca, certificate, key, token] = credentials;
  if (!address.secure) {
    if (!ca.empty() || !certificate.empty() || !key.empty()) {
      throw std::invalid_argument(address.name + ": certificates for a connection without TLS; grpcs://... has it");
    }
    return grpc::InsecureChannelCredentials();
  }
  if (certificate.empty() != key.empty()) {
    throw std::invalid_argument("a client's certificate and its key belong together: name both");
  }
  grpc::SslCredentialsOptions options;
  if (!ca.empty()) options.pem_root_certs = contents(ca);
  if (!key.empty()) {
    options.pem_private_key = contents(key);
    options.pem_cert_chain = contents(certificate);
  }
  return grpc::SslCredentials(options);
}

std::string bearer(const std::string& token) {
  static const std::regex form("[A-Za-z0-9._~+/-]+=*");
  if (token.empty()) return "";
  if (!std::regex_match(token, form)) {
    throw std::invalid_argument("the token must be one word of letters, digits and -._~+/, with = at its end alone");
  }
  return "Bearer " + token;
}

}  // namespace exatrkx
