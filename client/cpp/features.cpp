#include <algorithm>
#include <cmath>
#include <numbers>

#include "served_features.hpp"
#include "tracking_client.hpp"

namespace exatrkx {

namespace {

constexpr float kMmPerUnit = 1000.0F;
// mm: exatrkx/checks.py says why. No detector is larger than ATLAS, and no sensor nearer to a beam than LHCb's.
constexpr float kFarthestR = 12'500.0F, kFarthestZ = 23'000.0F, kNearestR = 5.0F, kOutermostR = 300.0F;
constexpr std::size_t kFewestSpacepoints = 10;

}  // namespace

std::vector<float> features(std::span<const Spacepoint> spacepoints, std::span<const ExtraFeature> extra,
                            const Columns& columns) {
  require_columns(extra, columns);
  std::vector<const std::vector<float>*> others;
  for (const auto& [name, scale] : extra) {
    others.push_back(&columns.at(name));
    if (others.back()->size() != spacepoints.size()) {
      throw std::invalid_argument("column '" + name + "' has another length than the spacepoints");
    }
  }
  std::vector<float> rows;
  rows.reserve((kPositionColumns + extra.size()) * spacepoints.size());
  float nearest = INFINITY, outermost = 0.0F, farthest = 0.0F;
  for (std::size_t i = 0; i < spacepoints.size(); ++i) {
    const auto& [x, y, z] = spacepoints[i];
    const float r = std::hypot(x, y);
    nearest = std::min(nearest, r);
    outermost = std::max(outermost, r);
    farthest = std::max(farthest, std::abs(z));
    rows.insert(rows.end(), {r / kMmPerUnit, static_cast<float>(std::atan2(double{y}, double{x}) / std::numbers::pi),
                             z / kMmPerUnit});
    for (std::size_t k = 0; k < extra.size(); ++k) rows.push_back((*others[k])[i] / extra[k].scale);
  }
  const bool outside = outermost > kFarthestR || farthest > kFarthestZ;
  const bool inside = nearest < kNearestR && outermost < kOutermostR && spacepoints.size() >= kFewestSpacepoints;
  if (outside || inside) {
    throw std::invalid_argument("spacepoints at r = " + std::to_string(nearest) + " to " + std::to_string(outermost) +
                                " mm, |z| up to " + std::to_string(farthest) + " mm fit no detector; lengths are mm");
  }
  return rows;
}

}  // namespace exatrkx
