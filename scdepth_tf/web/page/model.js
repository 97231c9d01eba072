// What a .tflite file of `scdepth export` says about itself.
"use strict";

self.scdepth ??= {};

scdepth.model = (() => {
  const DESCRIPTION = "scdepth.json";
  const FORMAT = 1;
  // Of the tensors' types in TFLite's schema.fbs.
  const FLOAT32 = 0;
  const UINT8 = 3;
  const EXPORT_AGAIN = "Export it again with “scdepth export”.";

  // Description and quantization of a depth network.
  //
  // bytes: Uint8Array, the whole file.
  // Throws an Error with one sentence for the visitor.
  function read(bytes) {
    const magic = String.fromCharCode(...bytes.subarray(4, 8));
    if (magic !== "TFL3") {
      throw new Error(
        "This is not a TFLite model. Choose a .tflite file that " +
          "“scdepth export” wrote.",
      );
    }
    const metadata = describe(bytes);
    if (metadata.format !== FORMAT || metadata.kind !== "depth") {
      throw new Error(
        `This file holds a ${metadata.kind} network described in format ` +
          `${metadata.format}; this page runs depth networks of format ` +
          `${FORMAT}. ${EXPORT_AGAIN}`,
      );
    }
    try {
      return { metadata, ...quantization(bytes) };
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new Error(`This model file is damaged. ${EXPORT_AGAIN}`);
    }
  }

  // The JSON file in the zip archive that follows the model.
  function describe(bytes) {
    try {
      return JSON.parse(new TextDecoder().decode(unzip(bytes, DESCRIPTION)));
    } catch (error) {
      throw new Error(
        "This model does not describe itself (cut short, or another " +
          `program's). ${EXPORT_AGAIN}`,
        { cause: error },
      );
    }
  }

  // One stored (not compressed) file of a zip archive.
  function unzip(bytes, name) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let end = bytes.length - 22;
    while (view.getUint32(end, true) !== 0x06054b50) end--;
    const size = view.getUint32(end + 12, true);
    // Archives may count from the start of the file or from their own.
    const shift = end - size - view.getUint32(end + 16, true);
    let entry = end - size;
    while (entry < end) {
      const nameLength = view.getUint16(entry + 28, true);
      const entryName = new TextDecoder().decode(
        bytes.subarray(entry + 46, entry + 46 + nameLength),
      );
      if (entryName === name && view.getUint16(entry + 10, true) === 0) {
        const local = view.getUint32(entry + 42, true) + shift;
        const start =
          local +
          30 +
          view.getUint16(local + 26, true) +
          view.getUint16(local + 28, true);
        return bytes.subarray(
          start,
          start + view.getUint32(entry + 20, true),
        );
      }
      entry +=
        46 +
        nameLength +
        view.getUint16(entry + 30, true) +
        view.getUint16(entry + 32, true);
    }
    throw new RangeError(`no ${name} in the archive`);
  }

  // Scale and zero point of input and output, or null for float tensors.
  // Field numbers are those of TFLite's schema.fbs.
  function quantization(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const model = follow(view, 0);
    const graph = element(view, vector(view, field(view, model, 2)), 0);
    const tensors = vector(view, field(view, graph, 0));
    const [input, output] = [1, 2].map((direction) => {
      const indices = vector(view, field(view, graph, direction));
      const tensor = element(
        view,
        tensors,
        view.getInt32(indices.start, true),
      );
      return scaleOf(view, tensor);
    });
    return { input, output };
  }

  function scaleOf(view, tensor) {
    const kind = field(view, tensor, 1);
    if (![FLOAT32, UINT8].includes(kind ? view.getInt8(kind) : FLOAT32)) {
      throw new Error(
        "This model takes or gives other numbers than float32 and bytes, " +
          `which browsers do not run. ${EXPORT_AGAIN}`,
      );
    }
    const parameters = field(view, tensor, 4);
    if (!parameters) return null;
    const table = follow(view, parameters);
    const scales = field(view, table, 2);
    if (!scales || vector(view, scales).length === 0) return null;
    const zeros = vector(view, field(view, table, 3));
    return {
      scale: view.getFloat32(vector(view, scales).start, true),
      zeroPoint: Number(view.getBigInt64(zeros.start, true)),
    };
  }

  // FlatBuffers: offsets are relative to where they stand.
  function follow(view, position) {
    return position + view.getUint32(position, true);
  }

  // Where a field of a table stands; 0 where it is absent.
  function field(view, table, number) {
    const layout = table - view.getInt32(table, true);
    const place = 4 + 2 * number;
    if (place >= view.getUint16(layout, true)) return 0;
    const offset = view.getUint16(layout + place, true);
    return offset && table + offset;
  }

  function vector(view, position) {
    const start = follow(view, position);
    return { length: view.getUint32(start, true), start: start + 4 };
  }

  function element(view, { start }, index) {
    return follow(view, start + 4 * index);
  }

  return { read };
})();
