// Geometry of nodes, edges and triplets: exatrkx/networks/geometry.py, a row to a thread. Its formulas, names and order
// of columns; sums and products may be fused where nothing is decided by them.
#pragma once

#include "numbers.cuh"
#include "tables.cuh"

// A row of the table of nodes.
struct alignas(16) Node {
  float r, z, eta, tanh_eta, phi, distance, x, y;
};

__device__ inline Node node_of(const float* features) {
  const float r = features[0], z = features[2], angle = features[1] * kPi;
  const float eta = asinhf(z / fmaxf(r, kSmallestR));
  // Which end of an edge is the inner one: rounded as on a CPU.
  const float distance = __fadd_rn(__fmul_rn(r, r), __fmul_rn(z, z));
  return {r, z, eta, tanhf(eta), features[1], distance, r * cosf(angle), r * sinf(angle)};
}

struct Ends {
  int inner, outer;
};

__device__ inline Ends outwards(const Node* nodes, int row, int column) {
  return nodes[row].distance < nodes[column].distance ? Ends{row, column} : Ends{column, row};
}

__device__ inline bool inside_window(const Node& a, const Node& b) {
  constexpr float kWindow = kLargestCurvature / kPi;
  const float apart = fabsf(a.phi - b.phi), dphi = fminf(apart, 2.0F - apart);
  return dphi <= __fmul_rn(fmaxf(fabsf(a.r - b.r), kSmallestR), kWindow);
}

// `x`: kEdgeInputs entries, of anything that is indexed.
template <class Entries>
__device__ void edge_features(const Node& inner, const Node& outer, const Entries& x) {
  const float dr = outer.r - inner.r, dz = outer.z - inner.z;
  float dphi = outer.phi - inner.phi;
  dphi -= 2.0F * rintf(dphi * 0.5F);
  const float step = copysignf(fmaxf(fabsf(dr), kSmallestR), dr);
  x[0] = inner.r;
  x[1] = inner.z;
  x[2] = inner.eta;
  x[3] = inner.tanh_eta;
  x[4] = outer.r;
  x[5] = outer.z;
  x[6] = outer.eta;
  x[7] = outer.tanh_eta;
  x[8] = dr;
  x[9] = dz;
  x[10] = outer.eta - inner.eta;
  x[11] = dphi;
  x[12] = tanhf(dphi * 10.0F);
  x[13] = asinhf(dphi / step * (kPi / kCurvatureScale));
  x[14] = asinhf((inner.z - inner.r * (dz / step)) / kVertexScale);
  x[15] = hypotf(dr, dz);
}

// A row of the table of segments.
struct alignas(16) Segment {
  float direction_x, direction_y, chord, curvature, polar_angle, intercept, sine, log_chord, end_radius;
  float kink_curvature, kink_polar, inverse_chord;
};

__device__ inline float arc_over(float chord, float curvature) {
  const float half = chord * curvature, x2 = fminf(half * half * 0.25F, 1.0F);
  return (((x2 * (15.0F / 336.0F) + 3.0F / 40.0F) * x2 + 1.0F / 6.0F) * x2 + 1.0F) * chord;
}

__device__ inline Segment segment_of(const Node& inner, const Node& outer) {
  Segment s;
  const float r = fmaxf(inner.r, kSmallestR), x = outer.x - inner.x, y = outer.y - inner.y;
  s.chord = fmaxf(hypotf(x, y), kShortestChord);
  s.direction_x = x / s.chord;
  s.direction_y = y / s.chord;
  const float cross = (inner.x * s.direction_y - inner.y * s.direction_x) * 2.0F;
  s.curvature = cross / (fmaxf(outer.r, kSmallestR) * r);
  const float arc = arc_over(s.chord, s.curvature), dz = outer.z - inner.z;
  s.polar_angle = atan2f(arc, dz);
  s.intercept = clamped(inner.z - dz / arc * arc_over(r, s.curvature), kFarthestIntercept);
  s.sine = sinf(s.polar_angle);
  s.log_chord = logf(s.chord);
  s.end_radius = outer.r;
  s.kink_curvature = s.curvature / kLargestCurvatureStep;
  s.kink_polar = s.polar_angle / kLargestPolarStep;
  s.inverse_chord = 1.0F / s.chord;
  return s;
}

__device__ inline bool may_be_one_track(const Segment& first, const Segment& second) {
  const float curvature = fabsf(second.kink_curvature - first.kink_curvature);
  const float polar = fabsf(second.kink_polar - first.kink_polar);
  return fmaxf(curvature, polar) <= first.inverse_chord + second.inverse_chord;
}

__device__ inline void triplet_features(const Segment& first, const Segment& second, float (&x)[kTripletFeatures]) {
  const float ax = first.direction_x, ay = first.direction_y, bx = second.direction_x, by = second.direction_y;
  const float a = first.chord, b = second.chord, cosine = ax * bx + ay * by;
  const float whole = sqrtf(fmaxf(2.0F * a * b * cosine + a * a + b * b, kShortestChord * kShortestChord));
  const float minus_mean = (first.curvature + second.curvature) * -0.5F;
  const float half_free = (ax * by - ay * bx) / whole;
  const float signed_terms[] = {
      (second.curvature - first.curvature) / kCurvatureStep,
      (minus_mean + 2.0F * half_free) / kCurvatureStep,
      (second.polar_angle - first.polar_angle) / kPolarStep,
      (second.intercept - first.intercept) / kInterceptStep,
  };
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    x[k] = asinhf(signed_terms[k]);
    x[4 + k] = fabsf(x[k]);
  }
  x[8] = asinhf(fabsf(minus_mean));
  x[9] = first.log_chord;
  x[10] = second.log_chord;
  x[11] = first.end_radius;
  x[12] = first.sine;
  x[13] = cosine;
}
