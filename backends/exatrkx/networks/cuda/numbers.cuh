// Bounds of numbers.
#pragma once

// Not fmaxf and fminf: NaN stays NaN, to be refused in the end.
__device__ inline float at_least(float x, float least) { return x < least ? least : x; }
__device__ inline float clamped(float x, float bound) { return x > bound ? bound : at_least(x, -bound); }
