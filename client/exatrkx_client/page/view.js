// What is to be seen, and in which colour: switches, cut, colouring and the picked track.

const MISSED = [0, 0, 0];
const NOBODY = [184, 188, 196];
const LACKS = [214, 0, 90];
const FADED = 0.35;
const CROWDED = 50000; // spacepoints, beyond which those on no candidate hide the tracks, and are left out at first
const KIND_COLOURS = {
  candidates: [0, 114, 178],
  found: [0, 114, 178],
  incomplete: [230, 159, 0],
  fake: [213, 94, 0],
  missed: MISSED,
  "missed, others": [130, 90, 150],
};
const RAMP = [[230, 159, 0], [204, 71, 120], [60, 10, 140]];

function rampColour(share) {
  const at = Math.min(Math.max(share, 0), 1) * (RAMP.length - 1);
  const low = Math.min(Math.floor(at), RAMP.length - 2);
  return RAMP[low].map((value, i) => Math.round(value + (at - low) * (RAMP[low + 1][i] - value)));
}

class View {
  constructor(event) {
    this.event = event;
    this.arrays = event.arrays;
    this.candidates = this.arrays.label.length;
    this.tracks = this.arrays.kind.length;
    this.spacepoints = this.arrays.candidate.length;
    this.mode = "candidate";
    this.on = Object.fromEntries(event.kinds.map(({ name }) => [name, name !== "missed, others"]));
    this.showUnassigned = this.spacepoints <= CROWDED;
    this.showDetector = true;
    this.minPt = 0;
    this.picked = NONE; // a track
    this.pickedPoint = NONE; // a spacepoint of no track that is shown
    this.shown = new Uint8Array(this.tracks);
    this.missedOf = new Int32Array(this.spacepoints).fill(NONE);
    for (let track = this.candidates; track < this.tracks; track++) {
      for (const point of wayOf(this.arrays, track)) this.missedOf[point] = track;
    }
    const scores = Array.from(this.arrays.score ?? []).filter(Number.isFinite);
    this.scores = scores.reduce(([low, high], one) => [Math.min(low, one), Math.max(high, one)], [Infinity, -Infinity]);
    this.sift();
  }

  get modes() {
    const truth = this.event.found ? ["particle", "match"] : [];
    return ["candidate", ...truth, ...(this.scores[0] <= this.scores[1] ? ["score"] : [])];
  }

  kindOf(track) {
    return this.event.kinds[this.arrays.kind[track]].name;
  }

  // Whether the cut is on the helix fit of candidates: without truth, where there are fits.
  get cutsFits() {
    return !this.event.found && (this.arrays.fit_pt?.some(Number.isFinite) ?? false);
  }

  // Transverse momentum of a track's particle, or of its fit, in GeV; NaN where it is not known, which no cut hides.
  ptOf(track) {
    if (!this.event.found) return this.arrays.fit_pt?.[track] ?? NaN;
    const particle = this.arrays.particle[track];
    return particle === NONE ? NaN : this.arrays.particlePt[particle];
  }

  sift() {
    for (let track = 0; track < this.tracks; track++) {
      this.shown[track] = this.on[this.kindOf(track)] && !(this.ptOf(track) < this.minPt) ? 1 : 0;
    }
  }

  // The track that a spacepoint is shown as a part of, or NONE.
  ownerOf(point) {
    const [candidate, missed] = [this.arrays.candidate[point], this.missedOf[point]];
    if (candidate !== NONE && this.shown[candidate]) return candidate;
    return missed !== NONE && this.shown[missed] ? missed : NONE;
  }

  isPointShown(point) {
    return this.ownerOf(point) !== NONE || (this.showUnassigned && this.arrays.candidate[point] === NONE);
  }

  particleColour(particle) {
    return particle === NONE ? NOBODY : this.arrays.particleColour.subarray(3 * particle, 3 * particle + 3);
  }

  trackColour(track) {
    if (this.mode === "particle") return this.particleColour(this.arrays.particle[track]);
    if (this.mode === "match" || track >= this.candidates) return KIND_COLOURS[this.kindOf(track)];
    if (this.mode === "score") {
      const [low, high] = this.scores;
      const score = this.arrays.score[track];
      return Number.isFinite(score) ? rampColour((score - low) / (high - low || 1)) : NOBODY;
    }
    return this.arrays.colour.subarray(3 * track, 3 * track + 3);
  }

  pointColour(point) {
    if (this.mode === "particle") return this.particleColour(this.arrays.maker[point]);
    const track = this.ownerOf(point);
    return track === NONE ? NOBODY : this.trackColour(track);
  }

  // [4 n] colours of spacepoints in an order.
  pointColours(order) {
    const faded = 255 * (this.picked === NONE ? 1 : FADED);
    const colours = new Uint8Array(4 * order.length);
    for (let at = 0; at < order.length; at++) {
      if (this.isPointShown(order[at])) this.write(colours, at, this.pointColour(order[at]), faded);
    }
    return colours;
  }

  lineColours(owners) {
    const faded = 200 * (this.picked === NONE ? 1 : FADED);
    const colours = new Uint8Array(4 * owners.length);
    for (let at = 0; at < owners.length; at++) {
      if (this.shown[owners[at]]) this.write(colours, at, this.trackColour(owners[at]), faded);
    }
    return colours;
  }

  write(colours, at, colour, opacity) {
    for (let i = 0; i < 3; i++) colours[4 * at + i] = colour[i];
    colours[4 * at + 3] = opacity;
  }

  // Spacepoints that a candidate's particle made and the candidate does not have.
  lacking(track) {
    const particle = this.arrays.particle[track];
    if (particle === NONE || track >= this.candidates) return [];
    const lacks = [];
    for (let point = 0; point < this.spacepoints; point++) {
      if (this.arrays.maker[point] === particle && this.arrays.candidate[point] !== track) lacks.push(point);
    }
    return lacks;
  }
}
