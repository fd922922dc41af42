// The panel beside the picture: counts, switches, and what was picked. Texts go in as texts, never as HTML.

const at = (id) => document.getElementById(id);
const grouped = (number) => number.toLocaleString("en");

function make(tag, text = "", properties = {}) {
  return Object.assign(document.createElement(tag), { textContent: text, ...properties });
}

function swatch([red, green, blue]) {
  const mark = make("span", "", { className: "swatch" });
  mark.style.background = `rgb(${red} ${green} ${blue})`;
  return mark;
}

function listed(pairs) {
  const list = make("dl");
  for (const [term, value] of pairs) list.append(make("dt", term), make("dd", value));
  return list;
}

class Panel {
  // `changed` is called after a switch, `looked` with a view's name, `picked` with the place of a candidate.
  constructor(view, { changed, looked, picked }) {
    this.view = view;
    const { event } = view;
    at("title").textContent = document.title = `Event ${event.event}`;
    at("files").textContent = event.files.join(" · ");
    at("counts").replaceWith(Object.assign(listed(this.counts()), { id: "counts" }));
    for (const name of Object.keys(VIEWS)) at("views").append(make("button", name, { onclick: () => looked(name) }));
    this.makeModes(changed);
    this.makeSwitches(changed);
    at("find").onsubmit = (submitted) => {
      submitted.preventDefault();
      const label = at("find-label").value.trim();
      picked(view.arrays.label.findIndex((one) => String(one) === label));
    };
    this.update();
  }

  counts() {
    const { view } = this;
    const onCandidates = view.arrays.candidate.reduce((sum, candidate) => sum + (candidate !== NONE ? 1 : 0), 0);
    const rows = [
      ["spacepoints", grouped(view.spacepoints)],
      ["on a candidate", grouped(onCandidates)],
      ["track candidates", grouped(view.candidates)],
    ];
    if (view.event.found) rows.push(["particles found", view.event.found.map(grouped).join(" of ")]);
    return rows;
  }

  makeModes(changed) {
    for (const mode of this.view.modes) {
      const input = make("input", "", { type: "radio", name: "mode", value: mode, checked: mode === this.view.mode });
      input.onchange = () => changed({ mode });
      const label = make("label");
      label.append(input, ` ${mode}`);
      at("modes").append(label);
    }
  }

  makeSwitches(changed) {
    const { view } = this;
    const add = (name, count, means, checked, set) => {
      const label = make("label", "", { title: means });
      const input = make("input", "", { type: "checkbox", name, checked });
      input.onchange = () => changed(set(input.checked));
      label.append(input, make("span", name), make("span", count));
      at("switches").append(label);
    };
    for (const { name, count, means } of view.event.kinds) {
      if ((name === "candidates") === !view.event.found) {
        add(name, grouped(count), means, view.on[name], (on) => ({ on: { ...view.on, [name]: on } }));
      }
    }
    const unassigned = view.arrays.candidate.reduce((sum, candidate) => sum + (candidate === NONE ? 1 : 0), 0);
    const text = "spacepoints on no candidate";
    add(text, grouped(unassigned), "", view.showUnassigned, (showUnassigned) => ({ showUnassigned }));
    add("detector", "", "", view.showDetector, (showDetector) => ({ showDetector }));
    at("cut").hidden = !view.event.found && !view.cutsFits;
    at("cut").title = view.cutsFits
      ? "of the candidate's helix fit; a candidate without one stays"
      : "of the candidate's majority particle; a track whose particle is not known stays";
    at("cut-of").textContent = view.cutsFits ? "fitted " : "";
    at("cut-slider").oninput = ({ target }) => changed({ minPt: target.value > 0 ? 10 ** (target.value / 50 - 1) : 0 });
  }

  update() {
    const { view } = this;
    const shown = view.shown.reduce((sum, one) => sum + one, 0);
    at("shown").textContent = `${grouped(shown)} of ${grouped(view.tracks)} tracks shown`;
    at("cut-value").textContent = `${view.minPt.toFixed(2)} GeV`;
    at("key").replaceChildren(...this.key());
    at("details").replaceChildren(...(view.picked !== NONE ? this.trackDetails() : this.pointDetails()));
  }

  key() {
    const { view } = this;
    if (view.mode === "match") {
      const used = view.event.kinds.filter(({ count }) => count);
      return used.flatMap(({ name }) => [swatch(KIND_COLOURS[name]), `${name} `]);
    }
    if (view.mode === "score") {
      const ramp = make("span", "", { className: "ramp" });
      ramp.style.background = `linear-gradient(to right, ${RAMP.map((one) => `rgb(${one.join(" ")})`).join(", ")})`;
      const ends = make("span", "", { className: "ends" });
      ends.append(...view.scores.map((score) => make("span", score.toFixed(3))));
      return [make("span", "mean probability of the candidate's edges"), ramp, ends];
    }
    const nobody = view.mode === "particle" ? "of no particle" : "on no candidate";
    const missed = view.event.found && view.mode === "candidate" ? [swatch(MISSED), "missed "] : [];
    return [`a colour for each ${view.mode}; `, swatch(NOBODY), `${nobody} `, ...missed];
  }

  trackDetails() {
    const { view } = this;
    const { arrays, picked: track } = view;
    const way = wayOf(arrays, track);
    const isCandidate = track < view.candidates;
    const kind = view.event.found ? view.kindOf(track) : "";
    const rows = [isCandidate ? ["candidate", [arrays.label[track], kind].filter(String).join(", ")] : ["particle", kind]];
    rows.push(["spacepoints", grouped(way.length)]);
    if (arrays.score && isCandidate) rows.push(["score", arrays.score[track].toFixed(4)]);
    if (isCandidate) rows.push(...this.fitRows(track));
    const particle = arrays.particle[track];
    if (particle !== NONE) {
      if (isCandidate) rows.push(["of its particle", `${arrays.shared[track]} of ${arrays.made[track]}`]);
      rows.push(...this.particleRows(particle));
    }
    const lacks = view.lacking(track);
    return [listed(rows), this.table([...way], lacks, particle)];
  }

  fitRows(track) {
    const { arrays } = this.view;
    if (!arrays.fit_pt || !Number.isFinite(arrays.fit_pt[track])) return [];
    const of = (name, digits = 3) => arrays[`fit_${name}`][track].toFixed(digits);
    return [
      ["fitted pT, charge", `${of("pt")} ± ${of("pt_error")} GeV, ${of("charge", 0)}`],
      ["fitted η, φ", `${of("eta")}, ${of("phi")}`],
      ["fitted d0, z0", `${of("d0")} ± ${of("d0_error")}, ${of("z0", 2)} ± ${of("z0_error", 2)} mm`],
      ["χ² / degrees of freedom", `${of("chi2", 1)} / ${of("ndf", 0)}`],
    ];
  }

  particleRows(particle) {
    const { arrays } = this.view;
    const number = (array, digits, unit = "") =>
      Number.isFinite(array[particle]) ? array[particle].toFixed(digits) + unit : "unknown";
    return [
      ["identifier", String(arrays.particleId[particle])],
      ["PDG code, charge", `${arrays.particlePdg[particle] || "unknown"}, ${number(arrays.particleCharge, 0)}`],
      ["pT, η", `${number(arrays.particlePt, 3, " GeV")}, ${number(arrays.particleEta, 3)}`],
      ["vertex from the axis", number(arrays.particleVertex, 2, " mm")],
    ];
  }

  pointDetails() {
    const { view } = this;
    const point = view.pickedPoint;
    if (point === NONE) return [make("p", "Click a track or a spacepoint.")];
    const particle = view.arrays.maker[point];
    return [listed(particle === NONE ? [] : this.particleRows(particle)), this.table([point], [], particle)];
  }

  table(points, lacks, particle) {
    const { arrays, event } = this.view;
    const table = make("table");
    const head = make("tr");
    head.append(...["spacepoint", "x", "y", "z / mm", ...(event.found ? ["whose"] : [])].map((text) => make("th", text)));
    table.append(head);
    for (const point of [...points, ...lacks]) {
      const missing = lacks.includes(point);
      const own = arrays.maker[point] === particle && particle !== NONE;
      const whose = missing ? "lacks" : own ? "own" : arrays.maker[point] === NONE ? "noise" : "other";
      const row = make("tr", "", { className: missing ? "lacks" : own || !event.found ? "" : "other" });
      const places = [0, 1, 2].map((axis) => arrays.position[3 * point + axis].toFixed(1));
      row.append(...[String(point), ...places, ...(event.found ? [whose] : [])].map((text) => make("td", text)));
      table.append(row);
    }
    return table;
  }
}
