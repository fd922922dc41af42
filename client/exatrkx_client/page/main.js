// The page: draws what the view says, and takes clicks, drags and wheels. Nothing is drawn while nothing changes.

const NEAR_PX = 8;
const STILL_PX = 4;
const LARGE = 20000; // spacepoints, from where edges are not smoothed, for the sake of machines without a GPU

class EventDisplay {
  constructor(event) {
    this.canvas = at("canvas");
    this.view = new View(event);
    this.isLarge = this.view.spacepoints > LARGE;
    this.renderer = new Renderer(this.canvas, !this.isLarge);
    this.segments = segmentsOf(event.arrays);
    const detector = detectorSegments(event.detector);
    this.camera = new Camera(boxAround(event.arrays.position, detector));
    this.layers = {
      detector: this.renderer.place(this.renderer.lineLayer(), detector),
      lines: this.renderer.place(this.renderer.lineLayer(), this.segments.ends),
      points: this.renderer.place(this.renderer.pointLayer(), event.arrays.position),
      pickedLines: this.renderer.lineLayer(),
      pickedPoints: this.renderer.pointLayer(),
    };
    const grey = new Uint8Array(4 * this.layers.detector.count).map((_, i) => [120, 130, 145, 60][i % 4]);
    this.renderer.colour(this.layers.detector, grey);
    this.panel = new Panel(this.view, {
      changed: (change) => this.change(change),
      looked: (name) => this.look(VIEWS[name]),
      picked: (track) => this.pick(track, NONE),
    });
    this.listen();
    this.paint();
    new ResizeObserver(() => this.resize()).observe(this.canvas);
  }

  change(change) {
    Object.assign(this.view, change);
    this.view.sift();
    if (this.view.picked !== NONE && !this.view.shown[this.view.picked]) this.view.picked = NONE;
    this.paint();
  }

  look(view) {
    this.camera.look(view);
    this.redraw();
  }

  pick(track, point) {
    Object.assign(this.view, { picked: track, pickedPoint: point });
    this.paint();
  }

  paint() {
    const { view, renderer, layers } = this;
    renderer.colour(layers.points, view.pointColours());
    renderer.colour(layers.lines, view.lineColours(this.segments.owners));
    this.paintPicked();
    this.panel.update();
    this.redraw();
  }

  paintPicked() {
    const { view, renderer, layers } = this;
    const track = view.picked;
    const way = track === NONE ? [] : [...wayOf(view.arrays, track)];
    const lacks = track === NONE ? [] : view.lacking(track);
    const alone = view.pickedPoint === NONE ? [] : [view.pickedPoint];
    const positionOf = (point) => [...view.arrays.position.subarray(3 * point, 3 * point + 3)];
    renderer.place(layers.pickedPoints, Float32Array.from([...way, ...lacks, ...alone].flatMap(positionOf)));
    const colour = track === NONE ? MISSED : view.trackColour(track);
    const colours = [...way.map(() => colour), ...lacks.map(() => LACKS), ...alone.map(() => MISSED)];
    renderer.colour(layers.pickedPoints, Uint8Array.from(colours.flatMap((one) => [...one, 255])));
    const pieces = way.slice(1).flatMap((point, i) => [...positionOf(way[i]), ...positionOf(point)]);
    renderer.place(layers.pickedLines, Float32Array.from(pieces));
    renderer.colour(layers.pickedLines, Uint8Array.from(way.slice(1).flatMap(() => [...colour, 255])));
  }

  resize() {
    this.ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.canvas;
    this.canvas.width = Math.round(clientWidth * this.ratio);
    this.canvas.height = Math.round(clientHeight * this.ratio);
    this.camera.resize(clientWidth, clientHeight);
    if (!this.touched) this.camera.fit();
    this.draw(); // at once: an empty canvas would be seen
  }

  redraw() {
    this.waiting ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.waiting = undefined;
    const { renderer, layers, view, ratio } = this;
    const size = (this.isLarge ? 3.5 : 5.5) * ratio;
    renderer.begin(this.camera.matrix());
    if (view.showDetector) renderer.draw(layers.detector, ratio, true);
    renderer.draw(layers.lines, 1.3 * ratio);
    renderer.draw(layers.points, size);
    renderer.above();
    renderer.draw(layers.pickedLines, 2.5 * ratio);
    renderer.draw(layers.pickedPoints, 1.5 * size);
    this.drawAxes();
  }

  drawAxes() {
    const [right, up] = this.camera.rows();
    const parts = ["x", "y", "z"].flatMap((name, axis) => {
      const [x, y] = [32 * right[axis], -32 * up[axis]];
      const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
      const text = document.createElementNS("http://www.w3.org/2000/svg", "text");
      for (const [key, value] of Object.entries({ x1: 0, y1: 0, x2: x, y2: y })) line.setAttribute(key, value);
      for (const [key, value] of Object.entries({ x: 1.3 * x, y: 1.3 * y })) text.setAttribute(key, value);
      text.textContent = name;
      return Math.hypot(x, y) > 3 ? [line, text] : [];
    });
    at("axes").replaceChildren(...parts);
  }

  // [2] pixels of a place in mm, or null of one behind the viewer.
  project(matrix, array, offset) {
    const [x, y, z] = array.subarray(offset, offset + 3);
    const [a, b, w] = [0, 1, 3].map((row) => matrix[row] * x + matrix[4 + row] * y + matrix[8 + row] * z + matrix[12 + row]);
    const [width, height] = this.camera.size;
    return w > 0 ? [((1 + a / w) * width) / 2, ((1 - b / w) * height) / 2] : null;
  }

  // Picks what is nearest to a pixel: a spacepoint, else a line.
  pickAt(x, y) {
    const { view } = this;
    const matrix = this.camera.matrix();
    let [point, least] = [NONE, NEAR_PX];
    for (let i = 0; i < view.spacepoints; i++) {
      const place = view.isPointShown(i) && this.project(matrix, view.arrays.position, 3 * i);
      const distance = place ? Math.hypot(place[0] - x, place[1] - y) : Infinity;
      if (distance < least) [point, least] = [i, distance];
    }
    if (point !== NONE) {
      const track = view.ownerOf(point);
      return this.pick(track, track === NONE ? point : NONE);
    }
    return this.pick(this.lineAt(matrix, x, y), NONE);
  }

  lineAt(matrix, x, y) {
    const { ends, owners } = this.segments;
    let [track, least] = [NONE, NEAR_PX];
    owners.forEach((owner, i) => {
      const a = this.view.shown[owner] && this.project(matrix, ends, 6 * i);
      const b = a && this.project(matrix, ends, 6 * i + 3);
      if (!b) return;
      const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
      const along = ((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy || 1);
      const share = Math.min(Math.max(along, 0), 1);
      const distance = Math.hypot(a[0] + share * dx - x, a[1] + share * dy - y);
      if (distance < least) [track, least] = [owner, distance];
    });
    return track;
  }

  listen() {
    const { canvas, camera } = this;
    let pressed = null;
    canvas.onpointerdown = (down) => {
      canvas.setPointerCapture(down.pointerId);
      pressed = { x: down.clientX, y: down.clientY, moved: 0, pan: down.button === 2 || down.shiftKey };
    };
    canvas.onpointermove = (now) => {
      if (!pressed) return;
      const [dx, dy] = [now.clientX - pressed.x, now.clientY - pressed.y];
      pressed.moved += Math.abs(dx) + Math.abs(dy);
      if (pressed.moved < STILL_PX) return;
      Object.assign(pressed, { x: now.clientX, y: now.clientY });
      this.touched = true;
      if (pressed.pan) camera.move(dx, dy);
      else camera.turn(dx, dy);
      this.redraw();
    };
    canvas.onpointerup = (up) => {
      const still = pressed && pressed.moved < STILL_PX && up.button === 0;
      pressed = null;
      if (still) this.pickAt(up.offsetX, up.offsetY);
    };
    canvas.onpointercancel = () => { pressed = null; };
    canvas.oncontextmenu = (opened) => opened.preventDefault();
    canvas.addEventListener("wheel", (turned) => {
      turned.preventDefault();
      this.touched = true;
      const [width, height] = camera.size;
      camera.zoom(Math.exp(0.0015 * turned.deltaY), turned.offsetX - width / 2, turned.offsetY - height / 2);
      this.redraw();
    }, { passive: false });
    document.onkeydown = (key) => { if (key.key === "Escape") this.pick(NONE, NONE); };
  }
}

try {
  new EventDisplay(decodeEvent(at("event")));
  document.body.dataset.ready = "yes";
} catch (error) {
  at("notice").textContent = `The event cannot be drawn: ${error.message}.`;
  at("notice").hidden = false;
  throw error;
}
