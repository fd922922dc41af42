// Camera that is turned about a target: yaw about y, then pitch about the horizontal; perspective or parallel.

const HALF_VIEW = Math.tan((30 * Math.PI) / 360);

const VIEWS = {
  "3-D": { yaw: 0.68, pitch: 0.3, parallel: false },
  "across (x–y)": { yaw: 0, pitch: 0, parallel: true },
  "along (z–y)": { yaw: Math.PI / 2, pitch: 0, parallel: true },
};

class Camera {
  constructor(box) {
    this.box = box;
    this.size = [1, 1];
    this.look(VIEWS["3-D"]);
  }

  look(view) {
    Object.assign(this, view);
    this.fit();
  }

  resize(width, height) {
    this.size = [Math.max(width, 1), Math.max(height, 1)];
  }

  // Distance and target from which the whole box is seen.
  fit() {
    const [low, high] = this.box;
    const aspect = this.size[0] / this.size[1];
    this.target = [0, 1, 2].map((axis) => (low[axis] + high[axis]) / 2);
    this.radius = Math.hypot(...[0, 1, 2].map((axis) => high[axis] - low[axis])) / 2 || 1;
    let distance = 0;
    for (let corner = 0; corner < 8; corner++) {
      const [x, y, z] = this.turned([0, 1, 2].map((axis) => (corner & (1 << axis) ? high : low)[axis]));
      const across = Math.max(Math.abs(x) / aspect, Math.abs(y)) / HALF_VIEW;
      distance = Math.max(distance, this.parallel ? across : across + z);
    }
    this.distance = 1.04 * distance || 1;
  }

  // Rows of the rotation: to the right, up, and towards the viewer.
  rows() {
    const [cy, sy, cp, sp] = [Math.cos(this.yaw), Math.sin(this.yaw), Math.cos(this.pitch), Math.sin(this.pitch)];
    return [[cy, 0, sy], [sp * sy, cp, -sp * cy], [-cp * sy, sp, cp * cy]];
  }

  turned(point) {
    const from = point.map((value, axis) => value - this.target[axis]);
    return this.rows().map((row) => row[0] * from[0] + row[1] * from[1] + row[2] * from[2]);
  }

  // From mm to clip space, column by column as WebGL takes it.
  matrix() {
    const rows = this.rows();
    const shift = rows.map((row) => -(row[0] * this.target[0] + row[1] * this.target[1] + row[2] * this.target[2]));
    const [far, aspect] = [this.distance + 4 * this.radius, this.size[0] / this.size[1]];
    const near = this.parallel ? this.distance - 4 * this.radius : Math.max(this.distance / 500, 1);
    const scale = this.parallel ? 1 / (this.distance * HALF_VIEW) : 1 / HALF_VIEW;
    const depth = this.parallel ? [-2 / (far - near), -(far + near) / (far - near)]
      : [(far + near) / (near - far), (2 * far * near) / (near - far)];
    const last = this.parallel ? [0, 1] : [-1, 0];
    const columns = [];
    for (let axis = 0; axis < 4; axis++) {
      const [x, y, z] = axis < 3 ? rows.map((row) => row[axis]) : [shift[0], shift[1], shift[2] - this.distance];
      const one = axis === 3 ? 1 : 0;
      columns.push((scale / aspect) * x, scale * y, depth[0] * z + depth[1] * one, last[0] * z + last[1] * one);
    }
    return Float32Array.from(columns);
  }

  turn(dx, dy) {
    this.yaw += dx * 0.006;
    this.pitch = Math.min(Math.max(this.pitch + dy * 0.006, -Math.PI / 2), Math.PI / 2);
    this.parallel = false;
  }

  move(dx, dy) {
    const step = (2 * this.distance * HALF_VIEW) / this.size[1];
    const [right, up] = this.rows();
    this.target = this.target.map((value, axis) => value - step * (dx * right[axis] - dy * up[axis]));
  }

  // Towards what is `x`, `y` pixels from the middle, which stays where it is.
  zoom(factor, x, y) {
    const before = this.distance;
    this.distance = Math.min(Math.max(before * factor, this.radius / 2000), this.radius * 30);
    const rest = 1 - before / this.distance;
    this.move(rest * x, rest * y);
  }
}
