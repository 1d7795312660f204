// Colours of heat maps: viridis where bright is similar, and blue to orange about zero for differences.

const STOPS = {
  // matplotlib's viridis at 33 places: perceptually uniform, and readable with any colour vision.
  similar: "440154 460c5f 47186a 482273 472c7b 453681 424085 3e4989 3a528b 365a8c 32628d 2f6a8d 2c728e 287a8e 26818e 23898d 20908c 1e988a 1e9f88 21a784 28ae7f 32b57a 3ebc73 4dc26b 5ec961 70ce56 83d34b 97d83e addc30 c2df22 d7e219 ece41a fde724",
  // Crameri's vik, thinned: dark blue, white, dark red-brown.
  difference: "001261 033e7d 1e6f9d 71a8c4 c9dde7 eeeae6 eacebd d39774 be6533 8b2706 590008",
};

const channels = (hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));

const interpolated = (stops, t) => {
  const at = t * (stops.length - 1);
  const k = Math.min(Math.floor(at), stops.length - 2);
  return stops[k].map((from, channel) => Math.round(from + (stops[k + 1][channel] - from) * (at - k)));
};

/** 256 colours of a scale, as [red, green, blue]. */
export function table(name) {
  const stops = STOPS[name].split(" ").map(channels);
  return Array.from({ length: 256 }, (_, k) => interpolated(stops, k / 255));
}

/** A colour as a pixel holds it on a little-endian machine. */
export const pixel = ([red, green, blue], alpha = 255) => ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;

export const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;

/** Whether dark text reads better on a colour than light text does. */
export const wantsDark = ([red, green, blue]) => 0.2126 * red ** 2.2 + 0.7152 * green ** 2.2 + 0.0722 * blue ** 2.2 > 0.2 * 255 ** 2.2;

/**
 * What a number's colour is: bright where it is similar, whatever the measure.
 * @param {number} low the number of the darkest colour
 * @param {number} high the number of the brightest; below `low` for distances
 */
export function scaled(name, low, high) {
  const colours = table(name);
  const [full, faint] = [colours.map((colour) => pixel(colour)), colours.map((colour) => pixel(colour, 46))];
  const place = (value) => Math.max(0, Math.min(255, Math.round((255 * (value - low)) / (high - low || 1))));
  return {
    name,
    low,
    high,
    colours,
    of: (value) => colours[place(value)],
    pixel: (value, isFaint) => (isFaint ? faint : full)[place(value)],
  };
}
