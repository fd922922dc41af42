// Scales of what the networks see of nodes, edges and triplets: exatrkx/networks/tables.py says what each is, and a test
// that these are the same.
#pragma once

constexpr float kPi = 3.14159265358979323846F;

constexpr float kSmallestR = 1e-3F;
constexpr float kCurvatureScale = 0.3F;
constexpr float kLargestCurvature = 3.0F;
constexpr float kOutside = -20.0F;
constexpr float kVertexScale = 0.1F;
constexpr float kShortestChord = 1e-4F;
constexpr float kFarthestIntercept = 3.0F;
constexpr float kCurvatureStep = 0.02F;
constexpr float kPolarStep = 0.002F;
constexpr float kInterceptStep = 0.001F;
constexpr float kLargestCurvatureStep = 0.05F;
constexpr float kLargestPolarStep = 0.012F;
constexpr float kLargest = 12.0F;
constexpr float kLargestRank = 1024.0F;
constexpr float kHopeless = -7.0F;

constexpr int kNodeFeatures = 4;
constexpr int kEdgeInputs = 16;
constexpr int kTripletFeatures = 14;

// Of exatrkx/networks/triplet_network.py.
constexpr float kUnlikely = -6.0F;
constexpr int kContext = 4;

// Of exatrkx/networks/mlp.py.
constexpr float kCircleScale = 10.0F;
