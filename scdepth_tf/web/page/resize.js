// Images as the network was trained on them: scdepth_tf.lite.resize.
"use strict";

self.scdepth ??= {};

scdepth.resize = (() => {
  // Bilinear resize with antialiasing and half-pixel centres.
  //
  // pixels: RGBA bytes [height * width * 4].
  // Returns Float32Array [newHeight * newWidth * 3], RGB in [0, 255].
  function resize(pixels, height, width, newHeight, newWidth) {
    const rows = filter(height, newHeight);
    const columns = filter(width, newWidth);
    const result = new Float32Array(newHeight * newWidth * 3);
    const row = new Float32Array(width * 3);
    for (let y = 0; y < newHeight; y++) {
      blendRows(pixels, width, rows, y, row);
      for (let x = 0; x < newWidth; x++) {
        let red = 0;
        let green = 0;
        let blue = 0;
        for (let tap = 0; tap < columns.taps; tap++) {
          const weight = columns.weights[x * columns.taps + tap];
          const from = 3 * columns.indices[x * columns.taps + tap];
          red += weight * row[from];
          green += weight * row[from + 1];
          blue += weight * row[from + 2];
        }
        const to = 3 * (y * newWidth + x);
        result[to] = red;
        result[to + 1] = green;
        result[to + 2] = blue;
      }
    }
    return result;
  }

  // One new row of the old width: the weighted mean of the rows it covers.
  function blendRows(pixels, width, rows, y, row) {
    row.fill(0);
    for (let tap = 0; tap < rows.taps; tap++) {
      const weight = rows.weights[y * rows.taps + tap];
      if (weight === 0) continue;
      let from = 4 * width * rows.indices[y * rows.taps + tap];
      for (let to = 0; to < row.length; to += 3, from += 4) {
        row[to] += weight * pixels[from];
        row[to + 1] += weight * pixels[from + 1];
        row[to + 2] += weight * pixels[from + 2];
      }
    }
  }

  // For each new sample: the old ones it covers and their weights.
  function filter(size, newSize) {
    if (size === newSize) {
      const indices = Int32Array.from({ length: size }, (_, i) => i);
      return { taps: 1, indices, weights: new Float32Array(size).fill(1) };
    }
    const step = size / newSize;
    const reach = Math.max(step, 1);
    const taps = Math.ceil(2 * reach) + 1;
    const indices = new Int32Array(newSize * taps);
    const weights = new Float32Array(newSize * taps);
    for (let i = 0; i < newSize; i++) {
      const center = (i + 0.5) * step;
      const first = Math.ceil(center - reach - 0.5);
      let sum = 0;
      const own = [];
      for (let tap = 0; tap < taps; tap++) {
        const at = first + tap;
        const inside = at >= 0 && at < size;
        const weight = 1 - Math.abs(at + 0.5 - center) / reach;
        own.push(inside ? Math.max(weight, 0) : 0);
        sum += own[tap];
        indices[i * taps + tap] = Math.min(Math.max(at, 0), size - 1);
      }
      own.forEach((weight, tap) => {
        weights[i * taps + tap] = weight / sum;
      });
    }
    return { taps, indices, weights };
  }

  return resize;
})();
