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

// [6 S] both ends of each piece of each track, and [S] whose piece it is.
function segmentsOf(arrays) {
  const { way, start, position } = arrays;
  const tracks = start.length - 1;
  const ends = [];
  const owners = [];
  for (let track = 0; track < tracks; track++) {
    for (let at = start[track]; at + 1 < start[track + 1]; at++) {
      for (const point of [way[at], way[at + 1]]) {
        ends.push(position[3 * point], position[3 * point + 1], position[3 * point + 2]);
      }
      owners.push(track);
    }
  }
  return { ends: Float32Array.from(ends), owners: Int32Array.from(owners) };
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
