// Runs the network, off the page's thread. The code of LiteRT.js stands
// before this in the same worker.
"use strict";

// What LiteRT.js asks of @litertjs/wasm-utils; that would fetch both files.
async function createWasmLib(LiteRtClass) {
  const wasm = await ModuleFactory({
    wasmBinary: parts.wasm,
    // It tells of every step it takes.
    printErr: (line) => line.startsWith("ERROR") && console.error(line),
  });
  return new LiteRtClass(wasm);
}

const parts = {};
let network = null;

self.onmessage = async ({ data }) => {
  try {
    if (data.type === "start") {
      parts.wasm = data.wasm;
      await loadLiteRt("wasm.js");
      delete parts.wasm;
      postMessage({ type: "started" });
    } else if (data.type === "model") {
      postMessage({ type: "model", ...(await open(data.bytes)) });
    } else if (data.type === "accelerate") {
      postMessage({ type: "engine", engine: await accelerate() });
    } else if (data.type === "frame") {
      const result = await look(data.bitmap);
      postMessage({ type: "depth", ...result }, [result.depth.buffer]);
    }
  } catch (error) {
    // LiteRT.js throws numbers and strings, too.
    postMessage({ type: "error", of: data.type, message: messageOf(error) });
  }
};

function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

// Takes a model file in place of the present one, which stays on errors.
async function open(bytes) {
  const { metadata, input, output } = scdepth.model.read(bytes);
  let compiled;
  try {
    compiled = await loadAndCompile(bytes, { accelerator: "wasm" });
  } catch (error) {
    throw new Error(
      `This model cannot be run (${messageOf(error)}). ` +
        "The file may be damaged: export it again with “scdepth export”.",
    );
  }
  network?.compiled.delete();
  const [height, width] = metadata.input.size;
  network = { compiled, bytes, metadata, input, output, height, width };
  return { metadata, height, width };
}

// Depth of a picture, at the network's size.
async function look(bitmap) {
  const start = performance.now();
  const { height, width } = network;
  const pixels = pixelsOf(bitmap);
  const image = scdepth.resize(
    pixels.data,
    pixels.height,
    pixels.width,
    height,
    width,
  );
  const values = encode(image, network.input);
  network.values = values;
  const logits = decode(await run(network.compiled, values), network.output);
  const depth = depthOf(logits, network.metadata);
  return { depth, height, width, milliseconds: performance.now() - start };
}

async function run(compiled, values) {
  const shape = [1, network.height, network.width, 3];
  const image = new Tensor(values, shape);
  try {
    const [answer] = await compiled.run([image]);
    try {
      return await answer.data();
    } finally {
      answer.delete();
    }
  } finally {
    image.delete();
  }
}

let canvas = null;

function pixelsOf(bitmap) {
  const { width, height } = bitmap;
  if (canvas?.width !== width || canvas.height !== height) {
    canvas = new OffscreenCanvas(width, height);
  }
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

// [0, 255] -> what the input tensor holds: [0, 1], or the bytes of int8 files.
function encode(image, quantization) {
  if (!quantization) return image.map((value) => value / 255);
  const { scale, zeroPoint } = quantization;
  const codes = new Uint8Array(image.length);
  for (let i = 0; i < codes.length; i++) {
    // Adding 1.5 · 2^23 in float32 rounds half to even, as NumPy does.
    const steps = Math.fround(Math.fround(image[i] / 255) / scale);
    const rounded = Math.fround(steps + 12582912) - 12582912;
    codes[i] = Math.min(Math.max(rounded + zeroPoint, 0), 255);
  }
  return codes;
}

function decode(values, quantization) {
  if (!quantization) return values;
  const { scale, zeroPoint } = quantization;
  return Float32Array.from(values, (code) => (code - zeroPoint) * scale);
}

// In metres where the file knows them, as scdepth_tf.lite gives it.
function depthOf(logits, { output, scale }) {
  const { alpha, beta } = output;
  const unit = scale?.metres_per_unit ?? 1;
  return logits.map(
    (logit) => unit / (alpha / (1 + Math.exp(-Math.max(logit, -80))) + beta),
  );
}

// Moves a float network to the graphics processor if that is faster here and
// says the same; answers which engine runs from now on.
async function accelerate() {
  const { compiled, bytes, values } = network;
  if (network.input || !getDefaultEnvironment().webGpuDevice) return "wasm";
  let onGraphics = null;
  try {
    onGraphics = await loadAndCompile(bytes, { accelerator: "webgpu" });
    const expected = await run(compiled, values);
    const answer = await run(onGraphics, values);
    const agrees = answer.every(
      (logit, i) => Math.abs(logit - expected[i]) < 0.05,
    );
    const gain =
      (await secondsOf(compiled, values)) /
      (await secondsOf(onGraphics, values));
    if (agrees && gain > 1) {
      network.compiled = onGraphics;
      compiled.delete();
      return "webgpu";
    }
  } catch (error) {
    console.warn(`WebGPU: ${messageOf(error)}`);
  }
  onGraphics?.delete();
  return "wasm";
}

// Of the fastest of three runs.
async function secondsOf(compiled, values) {
  const seconds = [];
  for (let i = 0; i < 3; i++) {
    const start = performance.now();
    await run(compiled, values);
    seconds.push((performance.now() - start) / 1000);
  }
  return Math.min(...seconds);
}
