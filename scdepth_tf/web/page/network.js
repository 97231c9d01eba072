// The network in its worker.
"use strict";

self.scdepth ??= {};

scdepth.Network = class {
  // code: JavaScript of the worker. failed: called with a sentence where it
  // breaks without being asked.
  constructor(code, failed) {
    this.metadata = null; // of the present model
    this.engine = "WASM";
    this.turn = Promise.resolve();
    this.asked = null;
    this.worker = new Worker(
      URL.createObjectURL(new Blob([code], { type: "text/javascript" })),
    );
    this.worker.onmessage = ({ data }) => {
      if (data.type === "error") this.asked.reject(new Error(data.message));
      else this.asked.resolve(data);
    };
    this.worker.onerror = (event) => {
      const text = event.message || "The worker failed.";
      failed(text);
      this.asked?.reject(new Error(text));
    };
  }

  // wasm: Uint8Array, which it takes away.
  async start(wasm) {
    await this.ask({ type: "start", wasm }, [wasm.buffer]);
  }

  // Takes a model file in place of the present one, which stays on errors.
  async open(bytes) {
    const { metadata } = await this.ask({ type: "model", bytes }, [
      bytes.buffer,
    ]);
    this.metadata = metadata;
    this.engine = "WASM";
  }

  // Moves to the graphics processor where that is faster.
  async accelerate() {
    if (!navigator.gpu) return;
    const { engine } = await this.ask({ type: "accelerate" });
    this.engine = engine === "webgpu" ? "WebGPU" : "WASM";
  }

  // { depth: Float32Array, height, width, milliseconds } of a picture.
  look(bitmap) {
    return this.ask({ type: "frame", bitmap }, [bitmap]);
  }

  // Whether its depth is in metres.
  get isMetric() {
    return Boolean(this.metadata.scale);
  }

  // The smallest and the largest depth it can say.
  get limits() {
    const { alpha, beta } = this.metadata.output;
    const unit = this.metadata.scale?.metres_per_unit ?? 1;
    return [unit / (alpha + beta), unit / beta];
  }

  // One question at a time: others wait for their turn.
  ask(message, transfer = []) {
    const mine = this.turn.then(
      () =>
        new Promise((resolve, reject) => {
          this.asked = { resolve, reject };
          this.worker.postMessage(message, transfer);
        }),
    );
    this.turn = mine.catch(() => {});
    return mine;
  }
};
