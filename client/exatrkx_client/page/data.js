// The event as Python wrote it. Arrays are numbers in base64, little-endian; see exatrkx_client.event_page.

const NONE = -1;

function decodeEvent(element) {
  const event = JSON.parse(element.textContent);
  for (const [name, { type, data }] of Object.entries(event.arrays)) {
    event.arrays[name] = new globalThis[type](bytesOf(data).buffer);
  }
  return event;
}

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// Spacepoints of a track, in their order along it.
function wayOf(arrays, track) {
  return arrays.way.subarray(arrays.start[track], arrays.start[track + 1]);
}

// [count] every place once, in an order of which each beginning is a fair sample: steps of the golden section.
function mixed(count) {
  const divisor = (a, b) => (b ? divisor(b, a % b) : a);
  let step = Math.max(Math.round(0.618 * count), 1);
  while (divisor(step, count) > 1) step++;
  return Int32Array.from({ length: count }, (_, at) => (at * step) % count);
}

// [6 S] both ends of each piece of each track, and [S] whose piece it is; tracks in a mixed order.
function segmentsOf(arrays) {
  const { way, start, position } = arrays;
  const tracks = start.length - 1;
  let pieces = 0;
  for (let track = 0; track < tracks; track++) pieces += Math.max(start[track + 1] - start[track] - 1, 0);
  const ends = new Float32Array(6 * pieces);
  const owners = new Int32Array(pieces);
  let piece = 0;
  for (const track of mixed(tracks)) {
    for (let at = start[track]; at + 1 < start[track + 1]; at++) {
      for (let axis = 0; axis < 3; axis++) {
        ends[6 * piece + axis] = position[3 * way[at] + axis];
        ends[6 * piece + 3 + axis] = position[3 * way[at + 1] + axis];
      }
      owners[piece++] = track;
    }
  }
  return { ends, owners };
}

// [3 N] the places of spacepoints in an order.
function gathered(position, order) {
  const places = new Float32Array(3 * order.length);
  for (let at = 0; at < order.length; at++) {
    for (let axis = 0; axis < 3; axis++) places[3 * at + axis] = position[3 * order[at] + axis];
  }
  return places;
}

// [6 S] the detector as circles, and lines along its outermost barrel.
function detectorSegments({ barrels, discs }, sides = 72) {
  const ends = [];
  const around = (r, z) => {
    for (let side = 0; side < sides; side++) {
      for (const corner of [side, side + 1]) {
        const phi = (2 * Math.PI * corner) / sides;
        ends.push(r * Math.cos(phi), r * Math.sin(phi), z);
      }
    }
  };
  for (const [r, half] of barrels) {
    around(r, half);
    around(r, -half);
    if (barrels.some(([other]) => other > r)) continue;
    for (let side = 0; side < sides; side += sides / 12) {
      const phi = (2 * Math.PI * side) / sides;
      ends.push(r * Math.cos(phi), r * Math.sin(phi), -half, r * Math.cos(phi), r * Math.sin(phi), half);
    }
  }
  for (const [z, , outer] of discs) around(outer, z);
  return Float32Array.from(ends);
}

// The box around all points that are numbers: [lowest, highest] of x, y, z.
function boxAround(...arrays) {
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  for (const array of arrays) {
    for (let i = 0; i < array.length; i++) {
      if (array[i] < low[i % 3]) low[i % 3] = array[i];
      if (array[i] > high[i % 3]) high[i % 3] = array[i];
    }
  }
  return Number.isFinite(low[0] + low[1] + low[2] + high[0] + high[1] + high[2])
    ? [low, high]
    : [[-1000, -1000, -1000], [1000, 1000, 1000]];
}
