// The depth colours of scdepth_tf.viz.color_depth.
"use strict";

self.scdepth ??= {};

scdepth.colors = (() => {
  // Matplotlib's magma (CC0), 256 colours of six hex digits.
  const MAGMA =
    "00000300000400000601000701010901010b02020d02020f030311040313040415" +
    "05041706051907051b08061d09071f0a07220b08240c09260d0a280e0a2a0f0b2c" +
    "100c2f110c31120d33140d35150e38160e3a170f3c180f3f1a10411b10441c1046" +
    "1e10491f114b20114d2211502311522511552611572811592a115c2b115e2d1060" +
    "2f1062301065321067341068350f6a370f6c390f6e3b0f6f3c0f713e0f72400f73" +
    "420f74430f75450f76470f774810784a10794b10794d117a4f117b50127b52127c" +
    "53137c55137d57147d58157e5a157e5b167e5d177e5e177f60187f61187f63197f" +
    "651a80661a80681b80691c806b1c806c1d806e1e816f1e81711f81731f81742081" +
    "7621817721817922817a22817c23817e24817f2481812581822581842681852681" +
    "8727818928818a28818c29808d29808f2a80912a80922b80942b80952c80972c7f" +
    "992d7f9a2d7f9c2e7f9e2e7e9f2f7ea12f7ea3307ea4307da6317da7317da9327c" +
    "ab337cac337bae347bb0347bb1357ab3357ab53679b63679b83778b93778bb3877" +
    "bd3977be3976c03a75c23a75c33b74c53c74c63c73c83d72ca3e72cb3e71cd3f70" +
    "ce4070d0416fd1426ed3426dd4436dd6446cd7456bd9466ada4769dc4869dd4968" +
    "de4a67e04b66e14c66e24d65e44e64e55063e65162e75262e85461ea5560eb5660" +
    "ec585fed595fee5b5eee5d5def5e5df0605df1615cf2635cf3655cf3675bf4685b" +
    "f56a5bf56c5bf66e5bf6705bf7715bf7735cf8755cf8775cf9795cf97b5df97d5d" +
    "fa7f5efa805efa825ffb8460fb8660fb8861fb8a62fc8c63fc8e63fc9064fc9265" +
    "fc9366fd9567fd9768fd9969fd9b6afd9d6bfd9f6cfda16efda26ffda470fea671" +
    "fea873feaa74feac75feae76feaf78feb179feb37bfeb57cfeb77dfeb97ffebb80" +
    "febc82febe83fec085fec286fec488fec689fec78bfec98dfecb8efdcd90fdcf92" +
    "fdd193fdd295fdd497fdd698fdd89afdda9cfddc9dfddd9ffddfa1fde1a3fce3a5" +
    "fce5a6fce6a8fce8aafceaacfcecaefceeb0fcf0b1fcf1b3fcf3b5fcf5b7fbf7b9" +
    "fbf9bbfbfabdfbfcbf";

  const table = new Uint8ClampedArray(256 * 3);
  for (let i = 0; i < table.length; i++) {
    table[i] = parseInt(MAGMA.slice(2 * i, 2 * i + 2), 16);
  }

  // Index of the colour of a depth: near is bright, even steps in the square
  // root of disparity.
  function index(depth, nearest, farthest) {
    const low = 1 / farthest;
    const level = (1 / depth - low) / (1 / nearest - low);
    const clipped = Math.min(Math.max(level, 0), 1);
    return Math.min(Math.floor(Math.sqrt(clipped) * 256), 255);
  }

  // RGBA bytes of depths, [H * W] -> [H * W * 4].
  function paint(depth, nearest, farthest) {
    const pixels = new Uint8ClampedArray(depth.length * 4);
    for (let i = 0; i < depth.length; i++) {
      const color = 3 * index(depth[i], nearest, farthest);
      pixels[4 * i] = table[color];
      pixels[4 * i + 1] = table[color + 1];
      pixels[4 * i + 2] = table[color + 2];
      pixels[4 * i + 3] = 255;
    }
    return pixels;
  }

  return { paint };
})();
