#include "tracking_client.hpp"

#include <grpcpp/create_channel.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "credentials.hpp"
#include "failure.hpp"
#include "host_digest.hpp"
#include "kserve.grpc.pb.h"
#include "served_features.hpp"

namespace exatrkx {

namespace {

static_assert(std::endian::native == std::endian::little, "the protocol's raw contents are little-endian");

constexpr const char* kLabels = "LABELS";
constexpr const char* kDigest = "REQUEST_DIGEST";
constexpr std::chrono::milliseconds kFirstWait{100}, kLongestWait{2'000};
constexpr int kIdWords = 4;

grpc::ChannelArguments channel_arguments(const Address& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxSendMessageSize(-1);  // no limit
  arguments.SetMaxReceiveMessageSize(-1);
  // A server that starts is noticed within a second; gRPC's own waits grow to two minutes.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  if (address.loopback) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return arguments;
}

// A new one for each attempt: an answer to an earlier one is none to this.
std::string new_id() {
  std::random_device random;
  std::string id;
  for (int word = 0; word < kIdWords; ++word) {
    char digits[9];
    std::snprintf(digits, sizeof digits, "%08x", static_cast<unsigned>(random()));
    id += digits;
  }
  return id;
}

// The INT64 entries of an output [size]; nothing where it is missing, or has another type or shape.
std::optional<std::vector<std::int64_t>> output(const inference::ModelInferResponse& response, const char* name,
                                                std::size_t size) {
  const int count = std::min(response.outputs_size(), response.raw_output_contents_size());
  for (int i = 0; i < count; ++i) {
    const auto& tensor = response.outputs(i);
    const std::string& bytes = response.raw_output_contents(i);
    if (tensor.name() != name) continue;
    if (tensor.datatype() != "INT64" || tensor.shape_size() != 1 || bytes.size() != size * sizeof(std::int64_t)) break;
    std::vector<std::int64_t> entries(size);
    if (size) std::memcpy(entries.data(), bytes.data(), bytes.size());
    return entries;
  }
  return {};
}

// What an attempt gives, which is made again for so long where its failure may pass.
template <typename Attempt>
auto retried(std::chrono::milliseconds retry_for, const Attempt& attempt) {
  using Clock = std::chrono::steady_clock;
  std::minstd_rand random{std::random_device{}()};
  std::uniform_real_distribution<double> share(0.5, 1.0);  // many clients are not to come back at the same time
  std::chrono::milliseconds wait = kFirstWait;
  Clock::time_point last_start;
  for (int attempts = 1;; ++attempts) {
    try {
      return attempt();
    } catch (const Error& error) {
      if (!error.passes()) throw;
      const Clock::time_point now = Clock::now();
      if (attempts == 1) last_start = now + retry_for;
      if (now >= last_start) {
        const std::string tried = attempts > 1 ? " (after " + std::to_string(attempts) + " attempts)" : "";
        throw Error(error.kind(), error.what() + tried);
      }
      const auto pause = std::chrono::duration_cast<Clock::duration>(share(random) * wait);
      std::this_thread::sleep_until(std::min(last_start, now + pause));
      wait = std::min(2 * wait, kLongestWait);
    }
  }
}

}  // namespace

struct TrackingClient::Connection {
  Connection(const std::string& url, Options given)
      : address(url),
        options(std::move(given)),
        token(bearer(options.credentials.token)),
        stub(inference::GRPCInferenceService::NewStub(grpc::CreateCustomChannel(
            address.target, channel_credentials(address, options.credentials), channel_arguments(address)))) {}

  void prepare(grpc::ClientContext& context) const {
    context.set_deadline(std::chrono::system_clock::now() + options.timeout);
    if (token.empty()) return;
    context.AddMetadata("authorization", token);  // a proxy reads the one, Triton the other
    context.AddMetadata("triton-grpc-protocol-authorization", token);
  }

  inference::ModelInferRequest request(std::span<const float> features, std::size_t columns,
                                       const std::string& id) const;
  std::vector<std::int64_t> attempt(std::span<const float> features, std::size_t columns, std::int64_t digest);

  const Address address;
  const Options options;
  [[nodiscard]] std::vector<ExtraFeature> ask_for_extra() const;

  const std::string token;
  const std::unique_ptr<inference::GRPCInferenceService::Stub> stub;
  std::atomic<bool> asks_for_digest = true;  // until the model turns out not to offer it
  std::mutex asking;
  std::optional<std::vector<ExtraFeature>> extra;  // as the server said
};

inference::ModelInferRequest TrackingClient::Connection::request(std::span<const float> features, std::size_t columns,
                                                                 const std::string& id) const {
  inference::ModelInferRequest request;
  request.set_model_name(options.model);
  request.set_id(id);
  const auto give_up = (std::chrono::system_clock::now() + options.timeout).time_since_epoch();
  (*request.mutable_parameters())[kDeadline].set_int64_param(
      std::chrono::duration_cast<std::chrono::microseconds>(give_up).count());
  auto* input = request.add_inputs();
  input->set_name("FEATURES");
  input->set_datatype("FP32");
  input->add_shape(static_cast<std::int64_t>(features.size() / columns));
  input->add_shape(static_cast<std::int64_t>(columns));
  request.add_raw_input_contents(reinterpret_cast<const char*>(features.data()), features.size_bytes());
  request.add_outputs()->set_name(kLabels);
  if (asks_for_digest) request.add_outputs()->set_name(kDigest);
  return request;
}

std::vector<std::int64_t> TrackingClient::Connection::attempt(std::span<const float> features, std::size_t columns,
                                                              std::int64_t digest) {
  const std::string id = new_id();
  const std::int64_t of_request = request_digest(digest, id);
  grpc::ClientContext context;
  prepare(context);
  const inference::ModelInferRequest sent = request(features, columns, id);
  inference::ModelInferResponse response;
  if (const grpc::Status status = stub->ModelInfer(&context, sent, &response); !status.ok()) {
    if (status.error_message().find("unexpected inference output '" + std::string(kDigest)) != std::string::npos &&
        asks_for_digest.exchange(false)) {
      return attempt(features, columns, digest);
    }
    throw failure(status, address.name, id, of_request);
  }
  const std::size_t spacepoints = features.size() / columns;
  const auto labels = output(response, kLabels, spacepoints);
  if (!labels) {
    throw Error(Error::Kind::server,
                address.name + ": no LABELS INT64 [" + std::to_string(spacepoints) + "] in the server's answer");
  }
  bool proved = response.id() == id;
  if (sent.outputs_size() > 1) {
    const auto found = output(response, kDigest, 1);
    proved = proved && found &&
             found->front() == added(of_request, payload_digest(std::span<const std::int64_t>(*labels)));
  }
  if (!proved) {
    throw Error(Error::Kind::unproven, address.name + ": the answer is not to this request, but to another");
  }
  return *labels;
}

std::vector<ExtraFeature> TrackingClient::Connection::ask_for_extra() const {
  inference::ModelMetadataRequest model;
  inference::ModelMetadataResponse metadata;
  inference::ModelConfigRequest asked;
  inference::ModelConfigResponse answer;
  model.set_name(options.model);
  asked.set_name(options.model);
  grpc::ClientContext first, second;
  prepare(first);
  if (const grpc::Status status = stub->ModelMetadata(&first, model, &metadata); !status.ok()) {
    throw failure(status, address.name);
  }
  const std::int64_t columns = columns_of(metadata);
  if (columns == kPositionColumns) return {};
  prepare(second);
  if (const grpc::Status status = stub->ModelConfig(&second, asked, &answer); !status.ok()) {
    throw failure(status, address.name);
  }
  return extra_of(answer.config(), columns, address.name);
}

TrackingClient::TrackingClient(const std::string& url, Options options)
    : connection_(std::make_unique<Connection>(url, std::move(options))) {}
TrackingClient::~TrackingClient() = default;
TrackingClient::TrackingClient(TrackingClient&&) noexcept = default;
TrackingClient& TrackingClient::operator=(TrackingClient&&) noexcept = default;

bool TrackingClient::is_ready() const {
  inference::ServerReadyResponse server;
  inference::ModelReadyRequest asked;
  inference::ModelReadyResponse model;
  asked.set_name(connection_->options.model);
  grpc::ClientContext first, second;
  connection_->prepare(first);
  grpc::Status status = connection_->stub->ServerReady(&first, {}, &server);
  if (status.ok() && server.ready()) {
    connection_->prepare(second);
    status = connection_->stub->ModelReady(&second, asked, &model);
  }
  if (status.ok()) return model.ready();
  const Error error = failure(status, connection_->address.name);
  if (!error.passes()) throw error;
  return false;
}

std::vector<ExtraFeature> TrackingClient::extra_features() const {
  const std::lock_guard lock(connection_->asking);
  if (!connection_->extra) {
    connection_->extra = retried(connection_->options.retry_for, [this] { return connection_->ask_for_extra(); });
  }
  return *connection_->extra;
}

std::vector<std::int64_t> TrackingClient::find_tracks(std::span<const Spacepoint> spacepoints,
                                                      const Columns& columns) const {
  const std::vector<ExtraFeature> extra = columns.empty() ? std::vector<ExtraFeature>{} : extra_features();
  try {
    return find_tracks(features(spacepoints, extra, columns), kPositionColumns + extra.size());
  } catch (const Error& error) {
    const bool of_columns = std::string(error.what()).find("FEATURES") != std::string::npos;
    if (columns.empty() && error.kind() == Error::Kind::rejected && of_columns) require_columns(extra_features(), {});
    throw;
  }
}

std::vector<std::int64_t> TrackingClient::find_tracks(std::span<const float> features, std::size_t columns) const {
  if (columns == 0 || features.size() % columns != 0) throw std::invalid_argument("features must be whole rows");
  const std::int64_t digest = features_digest(features);
  return retried(connection_->options.retry_for, [&] { return connection_->attempt(features, columns, digest); });
}

}  // namespace exatrkx
