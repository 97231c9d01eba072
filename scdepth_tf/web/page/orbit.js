// Looking at a point from around it: by pointer, wheel, two fingers or keys.
"use strict";

self.scdepth ??= {};

scdepth.Orbit = (() => {
  class Orbit {
    // start: { yaw, pitch, distance }, radians and multiples of a length; a
    // pitch above 0 looks down from above.
    // limits: { yaw, pitch, nearest, farthest }; a yaw of Infinity goes round.
    // changed: called when another picture is due.
    constructor(canvas, start, limits, changed) {
      this.start = start;
      this.limits = limits;
      this.changed = changed;
      this.pose = { ...start };
      // It sways until it is touched, to show that it can be turned.
      this.sways = !matchMedia("(prefers-reduced-motion: reduce)").matches;
      this.late = 0;
      this.listenToPointers(canvas);
      this.listenToKeys(canvas);
    }

    // Matrix of WebGL from the scene to the eye, which looks along z, y down.
    //
    // pivot: the point to turn around; unit: the length of a distance of 1.
    view(pivot, unit, time) {
      const { pitch, distance } = this.pose;
      const sway = this.sways ? 0.12 * Math.sin(time / 1600) : 0;
      const yaw = this.pose.yaw + sway;
      const [cy, sy] = [Math.cos(yaw), Math.sin(yaw)];
      const [cp, sp] = [Math.cos(pitch), Math.sin(pitch)];
      // Columns of the rotation.
      const r = [
        [cy, sp * sy, -cp * sy],
        [0, cp, sp],
        [sy, -sp * cy, cp * cy],
      ];
      const t = [0, 1, 2].map(
        (row) => -pivot.reduce((sum, p, column) => sum + r[column][row] * p, 0),
      );
      t[2] += unit * distance;
      return [...r[0], 0, ...r[1], 0, ...r[2], 0, ...t, 1];
    }

    // Whether the next picture is due at once. Where drawing takes long, it
    // stops swaying.
    goesOn(time) {
      this.late = time - this.drawn > 100 ? this.late + 1 : 0;
      this.drawn = time;
      if (this.late >= 3) this.sways = false;
      return this.sways;
    }

    turn(yaw, pitch) {
      const { limits, pose } = this;
      this.sways = false;
      pose.yaw = within(pose.yaw + yaw, -limits.yaw, limits.yaw);
      pose.pitch = within(pose.pitch + pitch, -limits.pitch, limits.pitch);
      this.changed();
    }

    zoom(factor) {
      const { nearest, farthest } = this.limits;
      this.sways = false;
      this.pose.distance = within(
        this.pose.distance * factor,
        nearest,
        farthest,
      );
      this.changed();
    }

    reset() {
      this.pose = { ...this.start };
      this.changed();
    }

    listenToPointers(canvas) {
      const pointers = new Map();
      const spread = () => {
        const [a, b] = [...pointers.values()];
        return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
      };
      canvas.addEventListener("pointerdown", (event) => {
        canvas.setPointerCapture(event.pointerId);
        pointers.set(event.pointerId, event);
      });
      canvas.addEventListener("pointermove", (event) => {
        const before = pointers.get(event.pointerId);
        if (!before) return;
        const apart = pointers.size === 2 && spread();
        pointers.set(event.pointerId, event);
        if (apart) {
          this.zoom(apart / Math.max(spread(), 1));
        } else {
          this.turn(
            (event.clientX - before.clientX) / 180,
            (event.clientY - before.clientY) / 180,
          );
        }
      });
      for (const end of ["pointerup", "pointercancel"]) {
        canvas.addEventListener(end, (event) => {
          pointers.delete(event.pointerId);
        });
      }
      canvas.addEventListener(
        "wheel",
        (event) => {
          event.preventDefault();
          this.zoom(Math.exp(event.deltaY / 600));
        },
        { passive: false },
      );
      canvas.addEventListener("dblclick", () => this.reset());
    }

    listenToKeys(canvas) {
      const keys = {
        ArrowLeft: () => this.turn(-0.1, 0),
        ArrowRight: () => this.turn(0.1, 0),
        ArrowUp: () => this.turn(0, 0.1),
        ArrowDown: () => this.turn(0, -0.1),
        "+": () => this.zoom(0.9),
        "=": () => this.zoom(0.9),
        "-": () => this.zoom(1.1),
        Home: () => this.reset(),
      };
      canvas.addEventListener("keydown", (event) => {
        if (!(event.key in keys) || event.ctrlKey || event.metaKey) return;
        event.preventDefault();
        keys[event.key]();
      });
    }
  }

  function within(value, low, high) {
    return Math.min(Math.max(value, low), high);
  }

  return Orbit;
})();
