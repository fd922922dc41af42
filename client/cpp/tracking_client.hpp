// Track finding on a server: the spacepoints of an event in, track labels out, over gRPC (KServe v2).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace exatrkx {

// Position in mm; z along the beam, the origin at the detector's centre.
struct Spacepoint {
  float x, y, z;
};

// What a position is in FEATURES: r / 1000 mm, φ / π, z / 1000 mm, as the shipped networks take it.
inline constexpr std::size_t kPositionColumns = 3;

// Column of FEATURES after those of the position: what it is called in an event, and what it is divided by.
struct ExtraFeature {
  std::string name;
  float scale = 1;
};

// Numbers of an event beside the position by the column's name, one for each spacepoint.
using Columns = std::map<std::string, std::vector<float>>;

// [N,F] row by row: the position, and after it these columns. std::invalid_argument where the lengths fit no detector
// (they are in cm, say), and where a column is missing, which is named, or of another length.
[[nodiscard]] std::vector<float> features(std::span<const Spacepoint> spacepoints,
                                          std::span<const ExtraFeature> extra = {}, const Columns& columns = {});

// What a client shows to a server, and what it trusts: names of PEM files, and a token; what is empty is not there.
struct Credentials {
  std::string ca;           // those whose signature on the server's certificate is trusted; else the system's
  std::string certificate;  // this client's own, where the server asks for one, with its key
  std::string key;
  std::string token;

  // EXATRKX_TLS_CA, EXATRKX_TLS_CERT, EXATRKX_TLS_KEY, EXATRKX_TOKEN_FILE and EXATRKX_TOKEN, as the Python client.
  [[nodiscard]] static Credentials from_environment();
};

// What goes wrong between this client and its server. An event or a setting that is wrong before anything is sent is
// a std::invalid_argument.
class Error : public std::runtime_error {
 public:
  enum class Kind {
    unavailable,  // cannot be reached, is not ready or is going down
    unproven,     // an answer or a refusal came that is not known to be to this request
    deadline,     // no answer in time
    access,       // a token, a certificate or a closed interface
    rejected,     // the server found the event at fault; the text says why
    model,        // it has no such model, or one with other tensors
    server,       // it failed at an event that it did not find at fault
  };

  Error(Kind kind, const std::string& text) : std::runtime_error(text), kind_(kind) {}
  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  // The same request may succeed later: the first three kinds.
  [[nodiscard]] bool passes() const noexcept { return kind_ <= Kind::deadline; }

 private:
  Kind kind_;
};

struct Options {
  std::string model = "exatrkx_ensemble";
  std::chrono::milliseconds timeout{60'000};    // of one attempt
  std::chrono::milliseconds retry_for{30'000};  // after the first failure attempts still begin, where it may pass
  Credentials credentials = Credentials::from_environment();
};

// A connection to one served pipeline, made when it is needed and again when the server comes back. May be used from
// several threads, each of which waits for its own event: so several are on their way.
class TrackingClient {
 public:
  // `host:port`, `grpc://host:port`, or with TLS `grpcs://host:port`. std::invalid_argument where it is none, or where
  // a file of the credentials does not fit. Nothing is sent yet.
  explicit TrackingClient(const std::string& url, Options options = {});
  ~TrackingClient();
  TrackingClient(TrackingClient&&) noexcept;
  TrackingClient& operator=(TrackingClient&&) noexcept;

  // Whether the server answers, and server and model take requests.
  [[nodiscard]] bool is_ready() const;

  // [N] −1 for a spacepoint on no track candidate, else 0, 1, 2, …; N may be 0. Every answer is proved to be to this
  // event. Throws Error once it does not pass, or no longer in time. With columns the server is asked first, once, which
  // of them its networks take; std::invalid_argument names one that is missing.
  [[nodiscard]] std::vector<std::int64_t> find_tracks(std::span<const Spacepoint> spacepoints,
                                                      const Columns& columns = {}) const;

  // The same for features [N,F] row by row, of networks that take F columns; they are sent as they are.
  [[nodiscard]] std::vector<std::int64_t> find_tracks(std::span<const float> features, std::size_t columns) const;

  // What the served networks take after the position, as the server says; it is asked once. Throws Error as
  // find_tracks, and where it does not name them.
  [[nodiscard]] std::vector<ExtraFeature> extra_features() const;

 private:
  struct Connection;
  std::unique_ptr<Connection> connection_;
};

}  // namespace exatrkx
