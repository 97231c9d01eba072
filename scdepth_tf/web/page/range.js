// Which depths the colours span: two sliders over the colours they give.
"use strict";

self.scdepth ??= {};

scdepth.Range = (() => {
  const $ = (id) => document.getElementById(id);
  const ENDS = ["nearest", "farthest"];

  class Range {
    // changed: called when the visitor has moved an end.
    constructor(changed) {
      this.limits = [1, 10];
      this.isMetric = false;
      this.ends = null; // { nearest, farthest }
      for (const end of ENDS) {
        $(end).addEventListener("input", ({ target }) => {
          if (!this.ends) return;
          this.move(end, this.depthAt(target.value));
          changed();
        });
      }
    }

    // For another network, whose depths lie within limits.
    take({ limits, isMetric }) {
      this.limits = limits;
      this.isMetric = isMetric;
      this.ends = null;
    }

    // A little beyond what most pixels of a picture span.
    fit(depth) {
      const sorted = Float32Array.from(depth).sort();
      const at = (share) => sorted[Math.floor(share * (sorted.length - 1))];
      this.set(0.9 * at(0.01), 1.1 * at(0.98));
    }

    // The other end gives way.
    move(end, depth) {
      const { nearest, farthest } = this.ends;
      if (end === "nearest") {
        this.set(depth, Math.max(farthest, 1.1 * depth));
      } else {
        this.set(Math.min(nearest, depth / 1.1), depth);
      }
    }

    set(nearest, farthest) {
      const [low, high] = this.limits;
      const near = Math.min(Math.max(nearest, low), high / 1.1);
      const far = Math.min(Math.max(farthest, 1.1 * near), high);
      this.ends = { nearest: near, farthest: far };
    }

    // Sliders are even in the logarithm of depth.
    sliderAt(depth) {
      const [low, high] = this.limits;
      return (1000 * Math.log(depth / low)) / Math.log(high / low);
    }

    depthAt(slider) {
      const [low, high] = this.limits;
      return low * (high / low) ** (slider / 1000);
    }

    // A depth as text; where the network knows no metres, a bare number.
    text(depth) {
      if (this.isMetric) return `${depth.toFixed(depth < 100 ? 1 : 0)} m`;
      return depth.toFixed(depth < 10 ? 2 : 1);
    }

    show() {
      const { nearest, farthest } = this.ends;
      for (const end of ENDS) {
        const depth = this.ends[end];
        const spoken = this.isMetric ? "" : " scene units";
        $(end).value = this.sliderAt(depth);
        $(end).setAttribute("aria-valuetext", this.text(depth) + spoken);
      }
      $("nearest-value").textContent = `near ${this.text(nearest)}`;
      $("farthest-value").textContent = `${this.text(farthest)} far`;
      const scale = $("scale");
      const depths = Float32Array.from({ length: scale.width }, (_, i) =>
        this.depthAt((1000 * (i + 0.5)) / scale.width),
      );
      const colors = scdepth.colors.paint(depths, nearest, farthest);
      scale
        .getContext("2d")
        .putImageData(new ImageData(colors, scale.width, 1), 0, 0);
    }
  }

  return Range;
})();
